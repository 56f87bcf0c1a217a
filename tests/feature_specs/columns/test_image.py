import io

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image as Pillow

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.image import Image
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec, load_spec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.resolve import resolve

RNG = np.random.default_rng(3)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[0:160:16j, 0:240:12j], 90.0), axis=-1).round().astype(np.uint8)
GREY = RNG.integers(256, size=(16, 12), dtype=np.uint8)
NOISE = RNG.integers(256, size=(16, 12, 3), dtype=np.uint8)


def encoded(pixels, as_format, **options):
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, as_format, **options)
    return file.getvalue()


def decoded(content, mode="RGB"):
    """As Pillow decodes it: float32 [16, 12, 3], or without the last for mode L."""
    return np.asarray(Pillow.open(io.BytesIO(content)).convert("RGB").convert(mode), np.float32)


PNG, SMOOTH_PNG = encoded(NOISE, "png"), encoded(SMOOTH, "png")
GREY_PNG = encoded(GREY, "png")
TRANSPARENT = encoded(np.dstack([NOISE, GREY]), "png")
JPEG = encoded(SMOOTH, "jpeg", quality=90)
BMP = encoded(NOISE, "bmp")
GIF = encoded(GREY, "gif")
WEBP = encoded(NOISE, "webp", lossless=True)
PICTURES = [PNG, SMOOTH_PNG, GREY_PNG, TRANSPARENT, JPEG, BMP, GIF, WEBP]
GREYISH = [GREY_PNG, GIF, encoded(GREY, "bmp"), BMP, JPEG, PNG, encoded(np.dstack([NOISE, GREY]), "bmp"), WEBP]
PIXELS = np.stack([decoded(p) for p in PICTURES])
WIDE = np.repeat(np.repeat(RNG.integers(256, size=(8, 6, 10, 3), dtype=np.uint8), 2, axis=1), 2, axis=2)
"""Pictures of 12 x 20, each pixel four times: of a shorter side of 6, bilinear resizing gives each once."""
GREYS = np.stack([decoded(p, "L")[:, :, None] for p in GREYISH])


class TestImage(ColumnContract):
    rows = {
        "image_any": pa.array(PICTURES, pa.binary()),
        "image_grey": pa.array(GREYISH, pa.binary()),
        "image_flat": pa.array([encoded(np.full((5, 9, 3), 7 * i, np.uint8), "png") for i in range(8)], pa.binary()),
        "image_wide": pa.array([encoded(one, "png") for one in WIDE], pa.binary()),
    }
    columns = {
        "image_none": {"kind": "image", "source": "image_any", "height": 16, "width": 12, "scale": "none"},
        "image_01": {"kind": "image", "source": "image_any", "height": 16, "width": 12},
        "image_11": {"kind": "image", "source": "image_any", "height": 16, "width": 12, "scale": "-1_1"},
        "image_grey": {"kind": "image", "height": 16, "width": 12, "channels": 1, "scale": "none"},
        "image_flat": {"kind": "image", "height": 2, "width": 30, "scale": "none"},
        "image_imagenet": {"kind": "image", "source": "image_any", "height": 16, "width": 12, "scale": "imagenet"},
        "image_wide": {"kind": "image", "height": 4, "width": 5, "short_side": 6, "scale": "none"},
    }
    transformed = dict.fromkeys(("image_none", "image_01", "image_11", "image_imagenet"), PICTURES) | {
        "image_grey": rows["image_grey"].to_pylist(),
        "image_flat": rows["image_flat"].to_pylist(),
        "image_wide": rows["image_wide"].to_pylist(),
    }
    encoded = {
        "image_none": PIXELS,
        "image_01": PIXELS / 255,
        "image_11": PIXELS / 127.5 - 1,
        "image_grey": GREYS,
        "image_flat": np.broadcast_to(7.0 * np.arange(8)[:, None, None, None], (8, 2, 30, 3)),
        "image_imagenet": (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        "image_wide": WIDE[:, 2:10:2, 4:14:2],
    }
    no_raw = no_transformed = dict.fromkeys(columns, "image has no tf.feature_column")


def image(**fields):
    return Image(**{"name": "x", "kind": "image", "height": 16, "width": 12} | fields)


def test_what_is_no_picture():
    values = pa.array([PNG, b"", None, b"no picture", JPEG[:100], b"\xff\xd8\xff", BMP[:60], GIF[:9]], pa.binary())
    pictures, reasons = image(source="photo").ingest(values)
    # Empty is missing, which the pipeline rejects.
    assert pictures.to_pylist() == [PNG] + [None] * 7
    assert list(reasons) == [3, 4, 5, 6, 7]
    assert reasons[3].startswith("photo is not a picture: Unknown image file format. One of JPEG, ")
    for reason in reasons.values():
        assert reason.startswith("photo is not a picture: ")
        assert not any(noise in reason for noise in ("function_node", "[Op:", "__wrapped__", "\n"))


def test_paths(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.txt").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    paths = [str(tmp_path / name).encode() for name in ("a.png", "b.txt", "gone.png", "empty.png")]
    pictures, reasons = image(content="path").ingest(pa.array([*paths, None, b""], pa.binary()))
    assert pictures.to_pylist() == [PNG, None, None, None, None, None]
    assert list(reasons) == [1, 2, 3]
    assert "No such file" in reasons[2]
    assert "Input is empty" in reasons[3]


def encoded_values(column, values):
    return Encoded({column.name: column}, {column.name: values}, {}, {}).feature(column.name).values


def test_an_animation_is_its_first_frame():
    frames = [Pillow.fromarray(np.full((4, 4), level, np.uint8)) for level in (10, 200)]
    file = io.BytesIO()
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:])
    values = encoded_values(image(height=4, width=4, scale="none"), tf.constant([file.getvalue()]))
    np.testing.assert_array_equal(values, np.full((1, 4, 4, 3), 10.0))


@pytest.mark.parametrize("channels", [1, 3])
def test_no_rows(channels):
    values = encoded_values(image(channels=channels), tf.constant([], tf.string))
    assert values.shape == (0, 16, 12, channels)


def two_sizes(one, other):
    """A spec of two columns over one input."""
    fields = {"kind": "image", "source": "file", "height": 2, "width": 2}
    columns = [{"name": "one", "content": one} | fields, {"name": "other", "content": other} | fields]
    return validate({"columns": columns}, FeatureSpec, "spec")


def test_two_columns_of_one_path(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    with raw_rows.opened(pa.table({"file": [str(tmp_path / "a.png"), "", None]})) as sources:
        spec = resolve(two_sizes("path", "path"), sources)
        ((_, done),) = raw_rows.parsed(spec, sources, labelled=False)
    assert done.rows.column("file").to_pylist() == [[PNG]]
    assert [row["reason"].partition(",")[0] for row in done.rejected] == ["file is missing"] * 2


def test_what_one_input_cannot_be():
    with pytest.raises(SpecError, match=r"columns.one.content: columns.other reads 'file' otherwise"):
        two_sizes("path", "bytes")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"short_side": 15}, "a short_side of at least 16, the picture's greater side"),
        ({"scale": "imagenet", "channels": 1}, "3 channels where scale is imagenet"),
        ({"augmentation": {"crop": [0.5, 0.2]}}, "crop is [least, greatest]"),
        ({"augmentation": {"ratio": [0.5, 2.0]}}, "has ratio without crop"),
    ],
)
def test_fields_that_do_not_fit(fields, expected):
    told = {"name": "x", "kind": "image", "height": 16, "width": 12} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [told]}, FeatureSpec, "spec")
    assert error.value.expected == expected


# -- augment ----------------------------------------------------------------------------------------------------------

SEEDS = tf.constant([[7, i] for i in range(8)])
EVERYTHING = {"crop": [0.2, 0.9], "flip": True, "brightness": 0.3, "contrast": 0.3}


@pytest.mark.parametrize("name", TestImage.columns)
def test_without_an_augmentation_a_model_is_trained_on_what_it_is_evaluated_on(name):
    column = Image(**{"name": name} | TestImage.columns[name])
    pictures = tf.constant(TestImage.transformed[name])
    augmented = column.augment(pictures, SEEDS)
    assert (augmented.dtype, augmented.shape[1:]) == (column.augmented.dtype, column.augmented.shape)
    np.testing.assert_array_equal(encoded_values(column, augmented), encoded_values(column, pictures))


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_drawn_for_a_row_does_not_depend_on_its_batch(channels):
    column, pictures = image(channels=channels, augmentation=EVERYTHING), tf.constant([JPEG] * 8)
    whole = column.augment(pictures, SEEDS).numpy()
    alone = [column.augment(pictures[i : i + 1], SEEDS[i : i + 1]).numpy()[0] for i in range(8)]
    np.testing.assert_array_equal(alone, whole)
    assert len({one.tobytes() for one in whole}) == 8
    assert whole.min() >= 0
    assert whole.max() <= 255
    assert column.augment(pictures[:0], SEEDS[:0]).shape == (0, 16, 12, channels)


@pytest.mark.parametrize("scale", ["0_1", "-1_1"])
def test_a_scale_as_yaml_reads_it(tmp_path, scale):
    """Without quotation marks it is a whole number there."""
    path = tmp_path / "spec.yaml"
    path.write_text(f"columns: [{{name: x, kind: image, height: 2, width: 2, scale: {scale}}}]")
    assert load_spec(path).columns[0].scale == scale
