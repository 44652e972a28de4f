"""Pictures: grey content in whatever mode, colour refused, and the turns that EXIF asks for."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.errors import UnreadableScan
from anomae.volumes.headers import MAX_VOXELS
from anomae.volumes.pictures import FIRST_OF_SEVERAL, read_colours, read_picture

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (12, 16), dtype=np.uint8)


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_content_in_any_mode_is_read_exactly(tmp_path: Path, mode: str, suffix: str) -> None:
    volume = read_picture(saved(tmp_path / f"a.{suffix}", Image.fromarray(GREY).convert(mode)), MAX_VOXELS)
    np.testing.assert_array_equal(volume.voxels[0], GREY)
    assert ("transparency" in " ".join(volume.notes)) == (mode in ("RGBA", "LA"))


def test_black_and_white_floats_and_wide_integers(tmp_path: Path) -> None:
    bits = GREY > 99
    np.testing.assert_array_equal(
        read_picture(saved(tmp_path / "a.png", Image.fromarray(bits)), MAX_VOXELS).voxels[0], bits * np.uint8(255)
    )
    floats = GREY.astype(np.float32) / 7
    volume = read_picture(saved(tmp_path / "b.tif", Image.fromarray(floats)), MAX_VOXELS)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels[0], floats)
    wide = GREY.astype(np.int32) * 1000 - 70000
    np.testing.assert_array_equal(
        read_picture(saved(tmp_path / "c.tif", Image.fromarray(wide)), MAX_VOXELS).voxels[0], wide
    )


def test_jpeg_is_pillows_and_its_tint_is_allowed(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(smooth), quality=90)
    np.testing.assert_array_equal(read_picture(path, MAX_VOXELS).voxels[0], np.asarray(Image.open(path)))
    tinted = np.clip(np.stack([smooth + 6, smooth, smooth], axis=-1), 0, 255).astype(np.uint8)
    volume = read_picture(saved(tmp_path / "b.jpg", Image.fromarray(tinted)), MAX_VOXELS)
    assert np.abs(volume.voxels[0].astype(int) - smooth).max() < 10
    assert "slightly coloured" in volume.notes[0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_true_colour_is_refused(tmp_path: Path, suffix: str) -> None:
    colour = np.zeros((32, 32, 3), np.uint8)
    colour[:16, :, 0], colour[16:, :, 2] = 200, 180
    with pytest.raises(UnreadableScan, match="colour"):
        read_picture(saved(tmp_path / f"a.{suffix}", Image.fromarray(colour)), MAX_VOXELS)
    with pytest.raises(UnreadableScan, match="colour"):
        read_picture(saved(tmp_path / "b.tif", Image.fromarray(colour).convert("CMYK")), MAX_VOXELS)


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_a_picture_in_other_colours_is_told_how_to_be_saved(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "a.tif", Image.new(mode, (8, 8)))
    with pytest.raises(UnreadableScan, match=f"mode {mode}.*save it as RGB"):
        read_colours(path)
    with pytest.raises(UnreadableScan, match=f"mode {mode}.*save it as grey"):
        read_picture(path)


def test_of_a_phone_s_jpeg_with_further_pictures_the_first_is_read(tmp_path: Path) -> None:
    grey = Image.fromarray(np.stack([GREY] * 3, axis=-1))
    alone = saved(tmp_path / "a.jpg", grey)
    several = saved(tmp_path / "b.jpg", grey, format="MPO", save_all=True, append_images=[grey.resize((8, 6))])
    found = read_picture(several)
    np.testing.assert_array_equal(found.voxels, read_picture(alone).voxels)
    np.testing.assert_array_equal(read_colours(several)[0], read_colours(alone)[0])
    assert found.notes == (FIRST_OF_SEVERAL, *read_picture(alone).notes)
    assert read_picture(saved(tmp_path / "c.jpg", grey, format="MPO")).notes == read_picture(alone).notes


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_the_turn_of_exif_is_applied(tmp_path: Path, turn: int, suffix: str) -> None:
    corner = np.zeros((16, 24), np.uint8)
    corner[:8, :8] = 250  # a bright block at the top left of what is stored
    exif = Image.Exif()
    exif[0x0112] = turn
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(corner), exif=exif)
    found = read_picture(path, MAX_VOXELS).voxels[0]
    # Where EXIF 2.3 says the stored row 0 and column 0 lie: rows from top or bottom, columns from left or right.
    row, column = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}[turn]
    assert found.shape == ((16, 24) if turn < 5 else (24, 16))
    assert found[2 if row == "t" else -3, 2 if column == "l" else -3] > 200
    assert (found > 125).mean() == pytest.approx(1 / 6, abs=0.02)


def test_pages_are_slices_and_unlike_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY.astype(np.uint16) * (page + 1)) for page in range(4)]
    path = saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    voxels = read_picture(path, MAX_VOXELS).voxels
    np.testing.assert_array_equal(voxels, np.stack([GREY.astype(np.uint16) * (page + 1) for page in range(4)]))
    for odd in (Image.fromarray(GREY[:5].astype(np.uint16)), Image.fromarray(GREY)):
        with pytest.raises(UnreadableScan, match="unlike"):
            read_picture(saved(tmp_path / "b.tif", pages[0], save_all=True, append_images=[odd]), MAX_VOXELS)
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    with pytest.raises(UnreadableScan, match="animation"):
        read_picture(saved(tmp_path / "c.png", frames[0], save_all=True, append_images=frames[1:]), MAX_VOXELS)


def test_white_is_zero_is_turned(tmp_path: Path) -> None:
    # Pillow turns 8 bit pixels while it writes, 16 bit pixels it stores as they are.
    eight = saved(tmp_path / "a.tif", Image.fromarray(GREY), tiffinfo={262: 0})
    np.testing.assert_array_equal(read_picture(eight, MAX_VOXELS).voxels[0], GREY)
    sixteen = saved(tmp_path / "b.tif", Image.fromarray(GREY.astype(np.uint16) * 257), tiffinfo={262: 0})
    np.testing.assert_array_equal(read_picture(sixteen, MAX_VOXELS).voxels[0], 65535 - GREY.astype(np.uint16) * 257)


def test_sixteen_bits_of_colour_are_said_to_be_read_as_eight(tmp_path: Path) -> None:
    header = struct.pack(">2I5B", 3, 2, 16, 2, 0, 0, 0)  # width, height, 16 bits, RGB
    rows = b"".join(b"\0" + struct.pack(">9H", *([257 * level] * 9)) for level in (10, 200))
    content = b"\x89PNG\r\n\x1a\n"
    for name, chunk in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        content += struct.pack(">I", len(chunk)) + name + chunk + struct.pack(">I", zlib.crc32(name + chunk))
    (tmp_path / "a.png").write_bytes(content)
    volume = read_picture(tmp_path / "a.png", MAX_VOXELS)
    np.testing.assert_array_equal(volume.voxels[0], [[10] * 3, [200] * 3])
    assert "16 bits" in volume.notes[0]


def test_pixels_that_no_strip_covers_are_not_made_up(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(GREY))
    content = bytearray(path.read_bytes())
    place = content.find(struct.pack("<2H2I", 257, 4, 1, 12))  # the height
    struct.pack_into("<2H2I", content, place, 257, 4, 1, 500)
    path.write_bytes(content)
    with pytest.raises(UnreadableScan, match="cut short"):
        read_picture(path, MAX_VOXELS)


def test_a_picture_of_another_kind_than_its_name_is_read_and_others_are_not(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", Image.fromarray(GREY)).rename(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", MAX_VOXELS).voxels.shape == (1, 12, 16)
    content = io.BytesIO()
    Image.fromarray(GREY).save(content, format="PPM")
    (tmp_path / "b.png").write_bytes(content.getvalue())
    with pytest.raises(UnreadableScan, match=r"b\.png"):
        read_picture(tmp_path / "b.png", MAX_VOXELS)


@pytest.mark.parametrize("ending", ["bmp", "gif", "webp"])
def test_bmp_gif_and_webp_are_read_and_animations_refused(tmp_path: Path, ending: str) -> None:
    lossless = {"lossless": True} if ending == "webp" else {}
    picture = Image.fromarray(GREY)
    picture.save(tmp_path / f"a.{ending}", **lossless)
    np.testing.assert_array_equal(read_picture(tmp_path / f"a.{ending}").voxels, GREY[np.newaxis])
    if ending != "bmp":
        picture.save(tmp_path / f"b.{ending}", save_all=True, append_images=[Image.fromarray(255 - GREY)], **lossless)
        with pytest.raises(UnreadableScan, match="animation"):
            read_picture(tmp_path / f"b.{ending}")
