"""DICOM files become what a viewer shows, or one sentence says why not."""

import hmac
import importlib.util
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from helpers import datasets, dicom

CARRIED = Path(pydicom.__file__).parent / "data" / "test_files"  # real files of many makers
FILES = sorted(path for path in CARRIED.rglob("*") if path.is_file() and dicom.is_dicom(path))
READ = """693_J2KI CT_small ExplVR_BigEnd J2K_pixelrep_mismatch JPEG2000 MR_small MR_small_RLE
    MR_small_bigendian MR_small_implicit MR_small_jp2klossless MR_small_padded SC_rgb_dcmtk_+eb+cr
    SC_rgb_dcmtk_+eb+cy+np SC_rgb_gdcm_KY SC_rgb_jpeg SC_rgb_jpeg_dcmtk SC_rgb_rle_16bit
    SC_rgb_small_odd SC_ybr_full_422_uncompressed examples_jpeg2k examples_overlay examples_palette
    examples_rgb_color image_dfl liver_1frame rtdose_1frame"""
REFUSED = {"MR_truncated": "cut off or damaged", "badVR": "damaged header", "rtplan": "no picture"}
REFUSED |= {"no_meta": "not a DICOM file", "rtdose": "15 frames", "examples_ybr_color": "30 frames"}
REFUSED |= {"meta_missing_tsyntax": "lacks Rows", "waveform_ecg": "no picture"}


def refused(path):
    with pytest.raises(ValueError) as caught:
        dicom.read(path)
    name, sentence = path.name, str(caught.value)
    assert sentence.startswith(name) and sentence.endswith(".") and "\n" not in sentence
    assert ". " not in sentence and str(path.parent) not in sentence
    return sentence


def write(path, pixels, **elements):
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    file.Rows, file.Columns, file.SamplesPerPixel = (*pixels.shape, 1)[:3]
    file.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    file.PlanarConfiguration = 0
    file.BitsAllocated = file.BitsStored = 8 * pixels.itemsize
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(file, name, value)
    file.HighBit = file.BitsStored - 1
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def shown(tmp_path):
    """Return how a row of stored values is shown, as a list."""

    def show(row, kind=np.int16, **elements):
        (image,) = dicom.read(write(tmp_path / "row.dcm", np.array([row], kind), **elements))
        return image.tolist()

    return show


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(CARRIED)))
def test_real_files_are_read_or_refused(path, capfd, caplog):
    named = path.parent == CARRIED and path.stem
    with warnings.catch_warnings(action="error"):
        try:
            image = dicom.read(path)
        except ValueError:
            assert named not in READ.split() and REFUSED.get(named, "") in refused(path)
            image = None
    assert capfd.readouterr() == ("", "") and not caplog.records
    if image is not None:
        with warnings.catch_warnings(action="ignore"):
            header = pydicom.dcmread(path)
        colours = () if header.PhotometricInterpretation.startswith("MONO") else (3,)
        assert image.dtype == np.uint8 and named not in REFUSED
        assert image.shape == (header.Rows, header.Columns, *colours)


def test_of_the_real_files_none_is_forgotten():
    assert len(FILES) > 100 and {path.stem for path in FILES} >= {*READ.split(), *REFUSED}


def test_the_same_picture_in_many_encodings():
    grey, bars = (dicom.read(CARRIED / f"{name}.dcm") for name in ("MR_small", "SC_rgb_rle"))
    for name in ("_RLE", "_bigendian", "_implicit", "_jp2klossless", "_padded"):
        assert (dicom.read(CARRIED / f"MR_small{name}.dcm") == grey).all()
    for name in ("rle_16bit", "rle_32bit", "gdcm_KY", "dcmtk_+eb+cr", "dcmtk_+eb+cy+np"):
        other = dicom.read(CARRIED / f"SC_rgb_{name}.dcm").astype(int)
        assert np.abs(other - bars).mean() < 3  # JPEG loses a little
    assert bars[5, 50].tolist() == [255, 0, 0]  # the uppermost bar is red


def test_window_and_rescale(shown):
    window = dict(WindowCenter=40, WindowWidth=400)  # PS3.3, C.11.2.1.2.1: from -160 to 239
    row = np.array([-2000, -160, -140, 39, 40, 239, 3000])
    seen = [0, 0, 13, 127, 128, 255, 255]  # -140: (-140 - 39.5) / 399 + 0.5, of 255
    assert shown(row, **window) == seen
    assert shown([-140, 40], **window) == [13, 128]  # though no pixel reaches the ends
    assert shown(row + 1024, RescaleSlope=1, RescaleIntercept=-1024, **window) == seen
    assert shown(row * 2, RescaleSlope=0.5, RescaleIntercept=0, **window) == seen
    assert shown(-row, RescaleSlope=-1, RescaleIntercept=0, **window) == seen
    assert shown(row * 2, RescaleSlope=0.5, **window) == seen  # without an intercept
    assert shown(row, WindowCenter=[40, 500], WindowWidth=[400, 3]) == seen
    assert shown([-160, 40, 240], VOILUTFunction="LINEAR_EXACT", **window) == [0, 128, 255]
    assert shown([-1060, 40, 140], VOILUTFunction="SIGMOID", **window) == [0, 128, 186]


def test_without_a_window_outliers_are_clipped(shown):
    row = [0] * 50 + [100] * 49 + [5000]
    top = np.mean(row) + 2.5 * np.std(row)
    assert shown(row) == [0] * 50 + [round(100 / top * 255)] * 49 + [255]
    assert shown([10, 20, 40]) == [0, 85, 255]  # nothing is as far out as that
    empty = dict(WindowCenter=None, WindowWidth=None, RescaleSlope=None, RescaleIntercept=None)
    assert shown([10, 20, 40], **empty) == [0, 85, 255]
    with np.errstate(all="raise"):
        assert shown([7, 7, 7]) == [0, 0, 0]


def test_padding_does_not_count(shown):
    row = [-2000] * 60 + [0, 10, 30]
    assert shown(row, PixelPaddingValue=-2000) == [0] * 60 + [0, 85, 255]
    assert shown(row)[-1] == 255 and shown(row)[-3] > 200
    assert shown([-2000] * 3, PixelPaddingValue=-2000) == [0, 0, 0]


def test_monochrome1_is_upside_down(shown):
    for more in ({}, dict(WindowCenter=40, WindowWidth=90), dict(PixelPaddingValue=0)):
        upright = np.array(shown(list(range(99)), **more))
        inverted = shown(list(range(99)), PhotometricInterpretation="MONOCHROME1", **more)
        assert len(set(upright)) > 50 and inverted == (255 - upright).tolist()


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lookup_tables(shown, bits):
    curve = ((np.arange(2001) / 2000) ** 2 * (2**bits - 1)).astype(np.uint16)
    table = Dataset()
    table.LUTDescriptor = [2001, -1000, bits]
    table.add_new("LUTData", "US", curve.tolist())
    row = np.array([-3000, -1000, 0, 500, 999, 1000, 3000])
    places = np.clip(row + 1000, 0, 2000)
    seen = np.round(curve[places] / (2**bits - 1) * 255).tolist()
    assert shown(row, VOILUTSequence=[table]) == seen and seen[2] in (63, 64)
    shifted = dict(RescaleSlope=1, RescaleIntercept=-4000, VOILUTSequence=[table])
    assert shown(row + 4000, WindowCenter=0, WindowWidth=9, **shifted) == seen  # before a window
    assert shown([32518], RescaleSlope=2, VOILUTSequence=[table]) == [255]  # far out of 16 bits
    table.LUTDescriptor = [2001, 0, 16]
    table.LUTData = [2 * n for n in range(2001)]
    modality = dict(ModalityLUTSequence=[table], WindowCenter=2000.5, WindowWidth=4001)
    assert shown([0, 500, 1000, 2000], np.uint16, **modality) == [0, 64, 128, 255]


def test_colours(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    assert (dicom.read(write(tmp_path / "rgb", rgb)) == rgb).all()
    deep = write(tmp_path / "deep", rgb.astype(np.uint16) * 16, BitsStored=12)
    assert np.abs(dicom.read(deep) - rgb.astype(float)).max() <= 1
    palette = dict(PhotometricInterpretation="PALETTE COLOR")
    for n, colour in enumerate(("Red", "Green", "Blue")):
        entries = (np.arange(256) // (n + 1) * 257).astype("<u2")
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = entries.tobytes()
    found = dicom.read(write(tmp_path / "palette", rgb[..., 0], **palette))
    assert (found == rgb[..., :1] // [1, 2, 3]).all()
    for name in list(palette)[1:]:  # with so many entries of 8 bits pydicom's colours are wrong
        palette[name] = [4096, 0, 8] if name.endswith("Descriptor") else bytes(4096)
    assert "table" in refused(write(tmp_path / "large", rgb[..., 0], **palette))


def test_refusals(tmp_path):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    whole = write(tmp_path / "whole.dcm", pixels)
    for share in (0.03, 0.2, 0.5, 0.99):
        cut = tmp_path / "cut.dcm"
        cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
        assert "cut off" in refused(cut)
    for word, elements in (
        ("2 frames", dict(Rows=32, NumberOfFrames=2)),
        ("window", dict(WindowCenter=1, WindowWidth=0)),
        ("window", dict(RescaleSlope="1e308", RescaleIntercept=0)),
        ("no picture", dict(PixelData=None)),
    ):
        assert word in refused(write(tmp_path / "odd.dcm", pixels, **elements))
    (tmp_path / "empty.dcm").touch()
    assert "empty" in refused(tmp_path / "empty.dcm")
    assert "folder" in refused(tmp_path)
    assert "No such file" in refused(tmp_path / "absent.dcm")
    (tmp_path / "text.dcm").write_text("No picture. " * 50)
    assert "not a DICOM file" in refused(tmp_path / "text.dcm")


@pytest.mark.skipif(bool(importlib.util.find_spec("pylibjpeg")), reason="the decoder is here")
def test_a_missing_decoder_is_named():
    for name in ("MR_small_jpeg_ls_lossless", "JPGExtended", "SC_rgb_jpeg_gdcm"):
        assert "pip install pylibjpeg" in refused(CARRIED / f"{name}.dcm")


def test_missing_pydicom_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pydicom.pixels", None)
    for call in (lambda: dicom.read(FILES[0]), lambda: dicom.to_png(CARRIED, tmp_path)):
        with pytest.raises(ValueError, match="pip install pydicom"):
            call()


def test_to_png_goes_on_after_what_it_cannot_read(tmp_path, monkeypatch):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    folder = tmp_path / "scans"
    for name in ("a.dcm", "a.dicom", "b/c/noending", "z.dcm"):
        write(folder / name, pixels)
    write(folder / "d.DCM", np.dstack([pixels % 256] * 3).astype(np.uint8))
    (folder / "b" / "broken.dcm").write_bytes((folder / "a.dcm").read_bytes()[:3000])
    (folder / "b" / "notes.txt").write_text("nothing")
    (folder / "png" / "z.dcm.png").mkdir(parents=True)  # in the way
    renamed, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda *names: renamed.append(names) or replace(*names))
    for _ in range(2):  # the PNGs of the first time are not taken for DICOM
        table = dicom.to_png(folder, folder / "png")
    assert list(table.columns) == ["file", "png", "problem", "patient"]
    assert table.file.tolist() == "a.dcm a.dicom b/broken.dcm b/c/noending d.DCM z.dcm".split()
    bad = table.iloc[[2, 5]]
    assert bad.png.tolist() == [None, None] and "broken.dcm is cut off" in bad.problem[2]
    assert "z.dcm.png cannot be written" in bad.problem[5]
    for name, png, problem, _ in table.drop(bad.index).itertuples(index=False):
        assert png == str(folder / "png" / f"{name}.png") and problem == ""
        with Image.open(png) as image:
            assert image.format == "PNG" and (np.array(image) == dicom.read(folder / name)).all()
        places = [here for here, there in renamed if there == Path(png)]
        assert len(places) == 2  # a kill leaves no half PNG
        assert all(place.parent.suffix == ".part" for place in places)
    assert not list(folder.rglob("*.part"))


def test_to_png_keeps_patients_apart_without_their_names(tmp_path, capsys):
    folder, pixels = tmp_path / "scans", np.eye(8, dtype=np.uint8)
    for n, name in enumerate(("sick/a.dcm", "sick/in/b, c.dcm", "well/d.dcm", "well/e.dcm")):
        write(folder / name, pixels + np.uint8(n), PatientID=["MEYER 07", "MEYER 07", "8", ""][n])
    (folder / "well" / "broken.dcm").write_bytes(b"")
    table = dicom.to_png(folder, tmp_path / "png", key="secret")
    first = hmac.new(b"secret", b"MEYER 07", "sha256").hexdigest()[:16]
    assert table["patient"][:2].tolist() == [first] * 2 and table["patient"][4] == ""
    assert table["patient"].nunique() == 3
    written = (tmp_path / "png" / "labels.csv").read_text()
    assert (
        written.startswith("filename,label,patient\nsick/a.dcm.png,sick,")
        and "broken" not in written
    )
    assert not any(b"MEYER" in path.read_bytes() for path in tmp_path.rglob("*.[pc][ns][gv]"))
    assert capsys.readouterr().out == (
        "Names are removed, but look for some in pixels and file names; patients are told apart by "
        "pseudonyms in labels.csv.\n"
    )
    rows = datasets.own_images(tmp_path / "png")
    assert rows["label"].tolist() == ["sick", "sick", "well", "well"]
    assert rows["group"].tolist() == [*table["patient"][[0, 1, 3]], rows["path"][3]]
    capsys.readouterr()
    again = dicom.to_png(folder, tmp_path / "png")  # a key of its own
    assert again["patient"][0] != first and again["patient"][0] == again["patient"][1]
    assert (tmp_path / "png" / "labels.csv").read_text() == written
    said = "pseudonyms in labels.csv, which was there and stays as it is.\n"
    assert capsys.readouterr().out.endswith(said)


def test_to_png_knows_no_class_of_what_lies_in_the_folder_itself(tmp_path):
    write(tmp_path / "a.dcm", np.eye(8, dtype=np.uint8))
    assert dicom.to_png(tmp_path, tmp_path / "png")["patient"].tolist() == [""]
    assert (tmp_path / "png" / "labels.csv").read_text().splitlines()[1] == "a.dcm.png,,"


def test_to_png_needs_a_folder_with_dicom(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match="no folder with DICOM files"):
            dicom.to_png(folder, tmp_path / "png")
    write(tmp_path / "a.dcm", np.eye(8, dtype=np.uint8))
    with pytest.raises(ValueError, match="another folder"):
        dicom.to_png(tmp_path, tmp_path)


@pytest.mark.parametrize("place", ["Shared", "PerFrame"])
def test_an_enhanced_file_of_one_frame_has_its_window_in_groups(shown, place):
    window, values, group = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 40, 400
    values.RescaleIntercept, values.RescaleSlope = -1024, 1
    group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [window], [values]
    groups = {f"{place}FunctionalGroupsSequence": [group], "NumberOfFrames": 1}
    row = np.array([-1000, -160, 40, 239, 2000])
    assert shown(row + 1024, **groups) == [0, 0, 128, 255, 255]


def test_files_without_preamble(tmp_path):
    data = (CARRIED / "CT_small.dcm").read_bytes()
    wanted, scans = dicom.read(CARRIED / "CT_small.dcm"), tmp_path / "scans"
    scans.mkdir()
    (scans / "IM0001").write_bytes(data[132:])
    for name, implicit, little in (("IM0002", False, True), ("3", True, True), ("4", False, False)):
        file = pydicom.dcmread(CARRIED / "MR_small.dcm")
        order = pydicom.filebase.DicomBytesIO()
        order.is_implicit_VR, order.is_little_endian = implicit, little
        if not little:
            file.PixelData = file.pixel_array.byteswap().tobytes()
            file.set_original_encoding(False, True)
        del file.file_meta
        pydicom.filewriter.write_dataset(order, file)
        (scans / name).write_bytes(order.getvalue())
    for name in ("text.txt", "a.npy"):
        (scans / name).write_bytes(b"\x08\0\0\0\x20\0\0\0 no picture, but text")
    table = dicom.to_png(scans, tmp_path / "png")
    assert table.file.tolist() == ["3", "4", "IM0001", "IM0002"] and not table.problem.any()
    assert (dicom.read(scans / "IM0001") == wanted).all()
    for name in ("IM0002", "3", "4"):
        assert (dicom.read(scans / name) == dicom.read(CARRIED / "MR_small.dcm")).all()


@pytest.mark.parametrize(
    "syntax, advice",
    [("4.201", "pip install pylibjpeg pylibjpeg-openjpeg first"),
     ("4.80", "pip install pylibjpeg pylibjpeg-libjpeg first"),
     ("4.70", "pip install pylibjpeg pylibjpeg-libjpeg first"),
     ("4.102", "no package helps: export a PNG")],
)  # fmt: skip
def test_the_advice_names_what_helps(tmp_path, syntax, advice):
    file = pydicom.dcmread(CARRIED / "MR_small.dcm")
    file.PixelData = pydicom.encaps.encapsulate([bytes(64)])
    file["PixelData"].is_undefined_length = True
    file.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.{syntax}"
    file.save_as(tmp_path / "a.dcm")
    said = refused(tmp_path / "a.dcm")
    assert said.endswith(f"; {advice}.") or importlib.util.find_spec("pylibjpeg")


def test_what_a_header_lacks_is_named(tmp_path):
    for word in ("PhotometricInterpretation", "Rows", "BitsAllocated"):
        file = pydicom.dcmread(CARRIED / "MR_small.dcm")
        del file[word]
        file.save_as(tmp_path / "a.dcm")
        assert refused(tmp_path / "a.dcm") == f"a.dcm lacks {word} in its header; export a PNG."
