"""From what a DICOM file stores to the 8-bit picture that a viewer shows."""

import contextlib
import hmac
import io
import logging
import re
import secrets
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from helpers import files

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
NEEDED = "Rows Columns SamplesPerPixel BitsAllocated PhotometricInterpretation".split()
# how a data set begins without preamble: group 2, or 8 in one of the three ways to write it
BARE = re.compile(
    rb"\x02\0.\0[A-Z]{2}|\x08\0(..[A-Z]{2}|\0\0\x04\0\0\0|[^\0]\0.\0\0\0)|\0\x08..[A-Z]{2}",
    re.DOTALL,
)
NO_DECODER = ("missing dependencies", "does not support", "is not supported")  # pydicom's words


def read(path):
    """Read a DICOM file's one picture as a viewer shows it.

    Values are rescaled (PS3.3, C.11.1), then go through the first VOI lookup table, or else the
    first window (C.11.2), whose ends are 0 and 255 even if no pixel reaches them. Without either,
    they are clipped at 2.5 standard deviations about the mean of what is not padding (C.7.5.1.1.2)
    and fill 0 to 255. MONOCHROME1 is inverted; palettes and YBR become RGB (C.7.6.3.1.2).

    Parameters
    ----------
    path : str or Path
        The file; its ending does not matter.

    Returns
    -------
    np.ndarray
        uint8 [H, W] for grey, [H, W, 3] for colour, in 0..255.

    Raises
    ------
    ValueError
        When there is no such file, no DICOM in it, not exactly one picture, or one that cannot
        be decoded: one sentence with the file's name and what to do.
    """
    pydicom, data, name = _pydicom(), contents(path), Path(path).name
    if not _is_begin(data):
        raise ValueError(f"{name} is not a DICOM file (no DICM at byte 128); check what it is.")
    with warnings.catch_warnings(action="ignore"):
        try:
            file = pydicom.dcmread(io.BytesIO(data), force=True)
            frames = int(file.get("NumberOfFrames") or 1) * any(map(file.get, PIXELS))
            if frames == 1:
                _complete(file)
        except Exception as error:  # pydicom raises anything on what it does not expect; so below
            raise ValueError(f"{name} has a damaged header; copy it again.") from error
        if not frames:
            raise ValueError(f"{name} holds no picture, or is cut off before it; check the file.")
        if frames > 1:
            raise ValueError(f"{name} holds {frames} frames, not one; export the one you want.")
        if lacks := [word for word in NEEDED if file.get(word) is None]:
            raise ValueError(f"{name} lacks {', '.join(lacks)} in its header; export a PNG.")
        try:
            stored = file.pixel_array  # YBR is RGB from here
        except Exception as error:
            how = "is cut off or damaged; copy it again"
            if any(words in str(error) for words in NO_DECODER):
                how = _advice(file.file_meta.TransferSyntaxUID)
            raise ValueError(f"{name} {how}.") from error
        try:
            colour = stored.ndim == 3 or file.PhotometricInterpretation == "PALETTE COLOR"
            return _colour(file, stored) if colour else _grey(file, stored)
        except Exception as error:
            raise ValueError(f"{name} has a window or table that fails; export a PNG.") from error


def to_png(folder, target, key=None):
    """Write every DICOM file below a folder as an 8-bit PNG, and go on after those it cannot.

    A file labels.csv beside them, for `datasets.own_images`, has the columns filename, label (the
    first folder below `folder`) and patient; one that is there stays as it is.

    Parameters
    ----------
    folder : str or Path
        Searched to any depth for what `is_dicom` holds to be one.
    target : str or Path
        Where a/b.dcm becomes a/b.dcm.png; may lie inside `folder`.
    key : str, optional
        A secret of your own: with the same one, a patient has the same pseudonym in every call.

    Returns
    -------
    DataFrame
        One row a DICOM file, by name: file (below `folder`), png (its path, or None), problem
        ("", or a sentence) and patient (a pseudonym of PatientID, HMAC-SHA256 in 16 hexadecimal
        digits; "" where there is none).

    Raises
    ------
    ValueError
        When the folder is not there, holds no DICOM file or is `target`; or without pydicom.
    """
    _pydicom()  # where it is missing, one error, not one a file
    folder, target, rows = Path(folder), Path(target), []
    found = sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path))
    if not found:
        raise ValueError(f"{folder} is no folder with DICOM files; give the one that holds them.")
    if target.resolve() == folder.resolve():  # a PNG could take the place of a file to be read
        raise ValueError(f"{folder} holds the DICOM files; give another folder for the PNGs.")
    key = key.encode() if key else secrets.token_bytes(32)
    for path in found:
        png, problem = target / f"{path.relative_to(folder)}.png", ""
        try:
            image = Image.fromarray(read(path))
            png.parent.mkdir(parents=True, exist_ok=True)
            with files.whole(png) as place:
                image.save(place, format="PNG")
        except ValueError as error:
            problem = str(error)
        except OSError as error:
            problem = f"{png.name} cannot be written ({error.strerror or error})."
        file, patient = path.relative_to(folder).as_posix(), _pseudonym(path, key)
        rows.append((file, None if problem else str(png), problem, patient))
    rows = pd.DataFrame(rows, columns=["file", "png", "problem", "patient"], dtype=object)
    _write_labels(rows[rows["png"].notna()], target / "labels.csv")
    return rows


def _pseudonym(path, key):
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
        options = {"stop_before_pixels": True, "specific_tags": ["PatientID"], "force": True}
        number = str(_pydicom().dcmread(path, **options).get("PatientID") or "").strip()
        return number and hmac.new(key, number.encode(), "sha256").hexdigest()[:16]
    return ""


def _write_labels(rows, file):
    """Write filename, label and patient of what `to_png` has written, unless the file is there."""
    there = file.exists()
    if len(rows) and not there:
        labels = [name.rpartition("/")[0].partition("/")[0] for name in rows["file"]]
        table = pd.DataFrame({"filename": rows["file"] + ".png", "label": labels})
        with files.whole(file) as place:  # "?" for what is no UTF-8: no image has such a name
            table.assign(patient=rows["patient"]).to_csv(place, index=False, errors="replace")
    print(
        "Names are removed, but look for some in pixels and file names; patients are told apart by "
        f"pseudonyms in {file.name}" + (", which was there and stays as it is." if there else ".")
    )


def is_dicom(path):
    """Tell by how a file begins, with or without preamble, or else by the ending .dcm or .dicom."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if _is_begin(file.read(132)):
            return True
    return Path(path).suffix.lower() in (".dcm", ".dicom")


def _is_begin(data):
    return data[128:132] == b"DICM" or bool(BARE.match(data))  # PS3.10, 7.1; older files


def contents(path):
    """Return a file's bytes; ValueError, a sentence, when there is no file or nothing in it."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        what = "is a folder" if path.is_dir() else f"cannot be read ({error.strerror})"
        raise ValueError(f"{path.name or path} {what}; check the path.") from None
    if not data:
        raise ValueError(f"{path.name} is empty; copy it again.")
    return data


def _pydicom():
    try:
        import pydicom.pixels
    except ImportError:
        raise ValueError("DICOM files need pydicom: pip install pydicom and try again.") from None
    # it logs, and warns besides, where a file breaks the standard but can be read all the same
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    return pydicom


def _complete(file):
    """Bring to the top level what pydicom's steps look for there, where a file has it elsewhere."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in (file.get(groups) or [])[:1]:  # one frame (PS3.3, C.7.6.16)
            for kind in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                for values in group.get(kind) or []:
                    file.update(values)
    native = "PixelData" in file and not file["PixelData"].is_undefined_length
    if native and "TransferSyntaxUID" not in file.file_meta:
        implicit, little = file.original_encoding
        kind = "Implicit" if implicit else "Explicit"
        end = "Little" if little else "Big"
        file.file_meta.TransferSyntaxUID = getattr(_pydicom().uid, f"{kind}VR{end}Endian")


def _advice(syntax):
    """Say what helps where pixels are compressed in a way that cannot be decoded here."""
    try:
        missing = _pydicom().pixels.get_decoder(syntax).missing_dependencies
    except NotImplementedError:  # films, mostly
        missing = ()
    package = re.search(r"pylibjpeg-\w+", " ".join(missing))
    how = (
        f"pip install pylibjpeg {package[0]} first" if package else "no package helps: export a PNG"
    )
    return f"is compressed ({syntax.name}); {how}"


def _grey(file, stored):
    steps = _pydicom().pixels
    for word, neutral in (("RescaleSlope", 1), ("RescaleIntercept", 0)):
        if file.get(word) is None:  # absent, or there but empty
            setattr(file, word, neutral)
    values = steps.apply_modality_lut(stored, file)
    if not np.isfinite(values).all():
        raise ValueError("floating point pixels that are no numbers")
    if file.get("VOILUTSequence"):
        shape = file.VOILUTSequence[0].LUTDescriptor
        first, low, high = shape[1], 0, 2 ** shape[2] - 1
        shape[2] = 16  # pydicom counts entries in as few bits as one entry has, and overflows
        values = steps.apply_voi(np.clip(np.round(values), first, first + 65535).astype(int), file)
    elif file.get("WindowCenter") is not None and file.get("WindowWidth") is not None:
        low, high = steps.apply_windowing(np.array([-np.inf, np.inf]), file)
        values = steps.apply_windowing(values, file)
    else:
        low, high = _usual(values, file.get("PixelPaddingValue"), stored)
    shown = _scaled(values, low, high)
    return 255 - shown if file.PhotometricInterpretation == "MONOCHROME1" else shown


def _usual(values, padding, stored):
    """Return the least and the largest value that are no outliers; padding does not count."""
    if padding is not None:
        inside = stored != np.array(padding).astype(stored.dtype)  # it may lack its sign
        values = values[inside] if inside.any() else values
    mean, reach = values.mean(), 2.5 * values.std()
    kept = np.clip(values, mean - reach, mean + reach)
    return kept.min(), kept.max()


def _colour(file, stored):
    top = 2**file.BitsStored - 1
    if stored.ndim == 2:
        count, first, bits = file.RedPaletteColorLookupTableDescriptor
        if bits == 8 and not 0 < count <= 256:
            raise ValueError("pydicom counts these entries in 8 bits, which overflow")
        stored = np.clip(stored, first, first + (count or 65536) - 1)
        stored = _pydicom().pixels.apply_color_lut(stored, file)[..., :3]  # without opacity
        top = 2**bits - 1
    return _scaled(stored, 0, top)


def _scaled(values, low, high):
    if low == high:  # a flat image
        return np.zeros(values.shape, np.uint8)
    share = (values.astype(np.float64) - low) / (high - low)
    return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)
