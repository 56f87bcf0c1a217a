"""EasyRec configs and the spec that they become: the ids that EasyRec makes of the same rows."""

import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.feature_specs import load_spec
from tfloom.feature_specs.converters import convert
from tfloom.feature_specs.errors import SpecError

TAOBAO = r"""
train_input_path: "data/train.csv"   # the first line of many
train_config { optimizer_config: { adam_optimizer: { learning_rate: { constant { learning_rate: 1e-3 } } } } }
data_config {
  separator: '\001'
  input_fields { input_name: 'clk' input_type: INT32 }
  input_fields { input_name: 'user_id' input_type: STRING }
  input_fields { input_name: 'brand' input_type: INT64 default_val: "7" }
  input_fields { input_name: 'weekday' }
  input_fields { input_name: 'tags' input_type: STRING }
  input_fields { input_name: 'sizes' input_type: STRING }
  input_fields: < input_name: 'price' input_type: FLOAT default_val: '2.5' >
  input_fields { input_name: 'level' input_type: INT32 }
  input_fields { input_name: 'history' }
  input_fields { input_name: 'liked' }
  input_fields { input_name: 'liked_much' default_val: '1' }
  input_fields { input_name: 'place' input_type: STRING default_val: '0.5;-1' }
  input_fields { input_name: 'box' input_type: STRING }
  label_fields: 'clk'
}
feature_config: {
  features: { input_names: 'user_id' feature_type: IdFeature embedding_dim: 4 hash_bucket_size: 100
              initializer { truncated_normal_initializer { stddev: 0.1 } } }
  features: { input_names: 'brand', feature_type: IdFeature; embedding_dim: 4 hash_bucket_size: 50
              embedding_name: 'table' }
  features: { input_names: 'weekday' feature_type: IdFeature embedding_dim: 2 vocab_list: ["mo", 'tu', "w" "e"] }
  features: { input_names: 'tags' feature_type: TagFeature separator: ';' hash_bucket_size: 50 embedding_dim: 4
              embedding_name: 'table' combiner: 'mean' }
  features: { input_names: ['liked', 'liked_much'] feature_type: TagFeature separator: ';' hash_bucket_size: 50
              embedding_dim: 4 embedding_name: 'table' combiner: 'mean' }
  features: { input_names: 'sizes' feature_type: TagFeature num_buckets: 5 embedding_dim: 3 max_partitions: 4 }
  features: { input_names: 'price' feature_type: RawFeature normalizer_fn: 'tf.math.log1p' }
  features: { feature_name: 'price_bin' input_names: 'price' feature_type: RawFeature boundaries: [10, 1.5]
              embedding_dim: 2 }
  features: { feature_name: 'price_share' input_names: 'price' feature_type: RawFeature min_val: 10 max_val: 30 }
  features: { feature_name: 'price_step' input_names: 'price' feature_type: RawFeature min_val: 10 max_val: 30
              num_buckets: 4 embedding_dim: 2 }
  features: { input_names: 'place' feature_type: RawFeature raw_input_dim: 2 separator: ';' }
  features: { feature_name: 'box_bin' input_names: 'box' feature_type: RawFeature raw_input_dim: 2
              boundaries: [0.5, 4] }
  features: { input_names: 'level' feature_type: IdFeature num_buckets: 3 embedding_dim: 2 }
  features: { feature_name: 'user_day' input_names: ['user_id', 'weekday'] feature_type: ComboFeature
              hash_bucket_size: 1000 embedding_dim: 4 }
  features: { input_names: 'history' feature_type: SequenceFeature separator: '|' hash_bucket_size: 100
              embedding_dim: 4 max_seq_len: 20 sequence_combiner { attention {} } }
  features: { feature_name: 'cheap' input_names: 'price' feature_type: ExprFeature expression: "price < 5" }
}
model_config: {
  model_class: 'WideAndDeep'
  feature_groups: { group_name: 'deep' feature_names: ['user_id', 'brand', 'tags', 'sizes', 'price', 'weekday']
                    feature_names: ['history', 'liked', 'nowhere'] wide_deep: DEEP }
  feature_groups: { group_name: 'wide' feature_names: ['user_id', 'price_bin', 'user_day'] wide_deep: WIDE }
  feature_groups: { group_name: 'both' feature_names: ['level', 'price_step'] wide_deep: WIDE_AND_DEEP }
}
"""


@pytest.fixture
def taobao(tmp_path):
    path = tmp_path / "pipeline.config"
    path.write_text(TAOBAO)
    return convert("easyrec", path)


def bucket(text, buckets):
    """As EasyRec hashes."""
    return int(tf.strings.to_hash_bucket_fast(text, buckets))


def test_the_ids_that_easyrec_makes(taobao, transform, tmp_path):
    (tmp_path / "spec.yaml").write_text(taobao.to_yaml())
    made = transform(
        load_spec(tmp_path / "spec.yaml"),
        user_id=pa.array(["u1", "ü", "", "u1"]),
        brand=pa.array([95471, 0, 7, None]),
        weekday=pa.array(["tu", "we", "mo", "so"]),
        tags=pa.array(["a;b", "b", "", ";c;"]),
        sizes=pa.array(["4|0", "5", "1", None]),
        price=pa.array([0.0, 1.5, None, 20.0]),
        level=pa.array([0, 2, 3, 1]),
        place=pa.array(["1;2", " 3.5; -4", "", None]),
        box=pa.array(["0|4", "1|2", None, "5|-1"]),
        history=pa.array(["x|y|x", "ü", "", None]),
        liked=pa.array(["a;b;a", "c", None, "b"]),
        liked_much=pa.array(["0.5;2;-1", "3", None, "0"]),
        clk=pa.array([0, 1, 0, 1]),
    )
    assert made["history"] == [[bucket("x", 100), bucket("y", 100), bucket("x", 100)], [bucket("ü", 100)], [], []]
    liked = [[bucket("a", 50), bucket("b", 50), bucket("a", 50)], [bucket("c", 50)], [], [bucket("b", 50)]]
    assert made["liked_ids"] == liked
    assert made["liked"] == [[0.5, 2, -1], [3], [], [0]]
    assert made["user_id"] == [[bucket("u1", 100)], [bucket("ü", 100)], [], [bucket("u1", 100)]]
    assert made["brand"] == [[bucket("95471", 50)], [bucket("0", 50)], [bucket("7", 50)], []]
    assert made["weekday"] == [[1], [2], [0], [0]]
    assert made["tags"] == [[bucket("a", 50), bucket("b", 50)], [bucket("b", 50)], [], [bucket("c", 50)]]
    assert made["sizes"] == [[4, 0], [0], [1], []]
    assert made["level"] == [[0], [2], [0], [1]]
    assert made["place"].numpy().tolist() == [[1, 2], [3.5, -4], [0.5, -1], [0.5, -1]]
    assert made["box_bin"] == [[0, 5], [1, 4], [2, 5], [2, 3]]
    assert made["price_bin"] == [[0], [1], [2], [2]]
    assert made["price_step"] == [[0], [0], [4], [3]]  # 10, 15, 20, 25: (x - 10) / 20 from 0, .25, .5, .75
    # ln(1 + x), with 2.5 for the missing one.
    assert made["price"].numpy()[:, 0].tolist() == pytest.approx([0, 0.9162907, 1.2527630, 3.0445224])
    assert made["price_share"].numpy()[:, 0].tolist() == [0, 1.5, 2.5, 20]
    users, days = tf.constant([["u1"], ["ü"], [""], ["u1"]]), tf.constant([["tu"], ["we"], ["mo"], ["so"]])
    crossed = tf.sparse.cross_hashed([users, days], 1000)
    assert made["user_day"] == tf.sparse.to_dense(crossed).numpy().tolist()


def test_groups_embeddings_inputs_and_the_label(taobao):
    spec = taobao.spec
    assert spec.groups == {
        "deep": ("user_id_embedding", "brand_embedding", "tags_embedding", "sizes_embedding", "price",
                 "weekday_embedding", "liked_embedding"),
        "wide": ("user_id", "price_bin", "user_day"),
        "both": ("level_embedding", "price_step_embedding"),
        "both_wide": ("level", "price_step"),
    }  # fmt: skip
    embedded = {c.name: (c.of, c.dimension, c.combiner) for c in spec.columns if c.kind == "embedded"}
    assert embedded["tags_embedding"] == ("tags", 4, "mean")
    assert embedded["sizes_embedding"] == ("sizes", 3, "sum")
    assert embedded["liked_embedding"] == ("liked", 4, "mean")
    assert (spec.by_name["liked"].of, spec.by_name["liked"].weights) == ("liked_ids", "liked_much")
    steps = spec.by_name["history_embedding"]
    assert (steps.kind, steps.of, steps.dimension, steps.max_length) == ("sequence_embedded", "history", 4, 20)
    assert [c.name for c in spec.columns if getattr(c, "shared", None) == "table"] == [
        "brand_embedding", "tags_embedding", "liked_embedding"
    ]  # fmt: skip
    start = spec.by_name["user_id_embedding"].initializer
    assert (start.name, start.mean, start.stddev) == ("truncated_normal", 0, 0.1)
    assert "user_day_embedding" not in embedded  # no deep part reads it
    assert {name: (one.dtype, one.delimiter) for name, one in spec.inputs.items()} == {
        "user_id": ("string", None), "brand": ("int64", None), "weekday": ("string", None), "tags": ("string", ";"),
        "sizes": ("int64", "|"), "price": ("float32", None), "level": ("int64", None),
        "place": ("float32", ";"), "box": ("float32", "|"), "history": ("string", "|"), "liked": ("string", ";"),
        "liked_much": ("float32", ";"),
    }  # fmt: skip
    assert [(one.name, one.positive, one.negative) for one in spec.labels] == [("clk", 1, 0)]


def test_nothing_is_dropped_in_silence(taobao):
    assert taobao.left_out == {
        "brand.default_val": "a missing value is absent, and not 7",
        "liked_much.default_val": "a missing weight is 0, and not 1",
        "user_id.initializer": "the weights of a wide part start from 0",
        "sizes.max_partitions": "it cannot be said",
        "price.default_val": "a missing value is in the last bucket, and not 2.5",
        "box.default_val": "a missing value is in the last bucket, and not 0",
        "price_share.min_val": "the number is not scaled, to (x - 10) / 20",
        "level.default_val": "a missing value is absent, and not 0",
        "history.sequence_combiner": "what a model makes of its steps, attention, cannot be said; no group reads "
        "them, and a pooled column would make one vector of them",
        "cheap": "there is no kind for ExprFeature",
        "deep.nowhere": "there is no feature of this name",
        "data_config.separator": "it cannot be said",
        "model_config.model_class": "it cannot be said",
        "train_input_path": "it is not about columns",
        "train_config": "it is not about columns",
    }


def one(
    tmp_path, feature, fields="input_fields { input_name: 'a' } input_fields { input_name: 'x' input_type: FLOAT }"
):
    path = tmp_path / "one.config"
    kept = "feature_configs { input_names: 'kept' hash_bucket_size: 3 }"
    path.write_text(f"data_config {{ input_fields {{ input_name: 'kept' }} {fields} }} {kept} {feature}")
    return convert("easyrec", path)


@pytest.mark.parametrize(
    ("feature", "why"),
    [
        ("input_names: 'x' hash_bucket_size: 9 precision: 3", "it reads the text of x, a float"),
        ("input_names: 'a'",
         "it has neither hash_bucket_size, num_buckets, vocab_list nor vocab_file"),
        ("input_names: 'b' hash_bucket_size: 9", "it reads b, which is none of the input_fields"),
        ("input_names: 'a' hash_bucket_size: 9 ev_params { filter_freq: 2 }",
         "its ev_params, a table that grows, cannot be said"),
        ("input_names: 'a' feature_type: TagFeature kv_separator: ':' hash_bucket_size: 9",
         "its tags and their weights are in one input, and weighted reads two"),
        ("input_names: 'a' feature_type: SequenceFeature hash_bucket_size: 9 seq_multi_sep: ';'",
         "it has several ids a step, which cannot be said"),
        ("input_names: 'a' feature_type: SequenceFeature sub_feature_type: RawFeature",
         "its sub_feature_type, RawFeature, cannot be said"),
        ("input_names: ['kept', 'a'] feature_name: 'k' feature_type: LookupFeature hash_bucket_size: 9",
         "it needs two input_names, the key and the map, a hash_bucket_size and a kv_separator"),
        ("input_names: 'a' feature_type: LookupFeature kv_separator: ':' hash_bucket_size: 9",
         "it needs two input_names, the key and the map, a hash_bucket_size and a kv_separator"),
        ("input_names: ['x', 'a'] feature_name: 'k' feature_type: LookupFeature kv_separator: ':' hash_bucket_size: 9",
         "it reads the text of x, a float"),
        ("input_names: 'a' feature_type: RawFeature raw_input_dim: 8 seq_multi_sep: ';'",
         "it has several vectors a row, which cannot be said"),
        ("input_names: 'x' feature_type: RawFeature normalizer_fn: 'my.sqrt'",
         "its normalizer_fn, my.sqrt, cannot be said"),
        ("input_names: ['a', 'kept'] feature_type: ComboFeature combo_join_sep: '_' hash_bucket_size: 9",
         "its combo_join_sep, a hash of the joined texts, cannot be said"),
        ("input_names: 'a' feature_name: 'one' feature_type: ComboFeature hash_bucket_size: 9",
         "of: is not right, expected a list of at least 2 items, not 1, received [{'input': 'a'}]"),
        ("input_names: 'kept' feature_name: 'again' num_buckets: 9",
         "it reads kept as int64, another column as string"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_listed(tmp_path, feature, why):
    draft = one(tmp_path, f"feature_configs {{ {feature} }}")
    assert [c.name for c in draft.spec.columns] == ["kept"]
    assert list(draft.left_out.values()) == [why]


TABLES = [
    ("embedding_dim: 3 hash_bucket_size: 9", "embedding_dim: 3 num_buckets: 9", True),
    ("embedding_dim: 3 hash_bucket_size: 2", "embedding_dim: 3 vocab_list: ['v', 'w']", True),
    ("embedding_dim: 3 hash_bucket_size: 9", "embedding_dim: 2 hash_bucket_size: 9", False),
    ("embedding_dim: 3 hash_bucket_size: 9", "embedding_dim: 3 hash_bucket_size: 8", False),
    ("embedding_dim: 3 hash_bucket_size: 9",
     "embedding_dim: 3 hash_bucket_size: 9 initializer { random_normal_initializer {} }", False),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "shared"), TABLES)
def test_features_share_a_table_that_is_alike(tmp_path, first, second, shared):
    features = (f"input_names: 'a' embedding_name: 't' {first}", f"input_names: 'b' embedding_name: 't' {second}")
    draft = one(tmp_path, " ".join(f"feature_configs {{ {told} }}" for told in features),
                "input_fields { input_name: 'a' } input_fields { input_name: 'b' }")  # fmt: skip
    tables = [draft.spec.by_name[f"{name}_embedding"].shared for name in "ab"]
    assert tables == ["t", "t" if shared else None]
    assert draft.left_out == (
        {}
        if shared
        else {
            "b.embedding_name": "it shares the table t, of which another column says another thing; "
            "it has a table of its own"
        }
    )


def test_an_embedding_name_of_one_feature_is_no_shared_table(tmp_path):
    draft = one(tmp_path, "feature_configs { input_names: 'a' embedding_name: 't' embedding_dim: 3 num_buckets: 9 }")
    assert draft.spec.by_name["a_embedding"].shared is None
    assert draft.left_out == {}


def test_the_weights_of_a_wide_part_are_not_shared(tmp_path):
    told = "embedding_name: 't' embedding_dim: 3 hash_bucket_size: 9"
    draft = one(tmp_path, f"feature_configs {{ input_names: 'a' shared_names: 'b' {told} }} model_config {{ "
                          "feature_groups { group_name: 'wide' feature_names: ['a', 'b'] wide_deep: WIDE } }",
                "input_fields { input_name: 'a' } input_fields { input_name: 'b' }")  # fmt: skip
    why = "of a wide part its weights are its own, and not t's"
    assert draft.left_out == {"a.embedding_name": why, "b.embedding_name": why}


@pytest.mark.parametrize(
    ("initializer", "said"),
    [
        ("truncated_normal_initializer { mean: 1 }", {"name": "truncated_normal", "mean": 1, "stddev": 1}),
        ("random_normal_initializer { stddev: 0.2 }", {"name": "random_normal", "mean": 0, "stddev": 0.2}),
        ("constant_initializer { consts: 0.5 }", {"name": "constant", "value": 0.5}),
        ("constant_initializer { consts: [1, 2] }", None),
        ("glorot_normal_initializer {}", None),
    ],
)
def test_how_a_table_starts(tmp_path, initializer, said):
    told = f"input_names: 'a' num_buckets: 9 embedding_dim: 3 initializer {{ {initializer} }}"
    draft = one(tmp_path, f"feature_configs {{ {told} }}")
    start = draft.spec.by_name["a_embedding"].initializer
    assert (start and start.model_dump()) == said
    cannot = {"a.initializer": "it cannot be said, the table starts as one without an initializer"}
    assert draft.left_out == ({} if said else cannot)


def test_an_item_and_its_history_share_a_table(tmp_path):
    told = "embedding_name: 't' embedding_dim: 3 hash_bucket_size: 9"
    draft = one(tmp_path, f"feature_configs {{ input_names: 'a' {told} }} feature_configs {{ input_names: 'b' {told} "
                          "feature_type: SequenceFeature } model_config { feature_groups { group_name: 'all' "
                          "feature_names: ['a'] sequence_features { group_name: 'seq' seq_att_map { key: 'a' "
                          "hist_seq: 'b' } } } }",
                "input_fields { input_name: 'a' } input_fields { input_name: 'b' }")  # fmt: skip
    assert [draft.spec.by_name[f"{name}_embedding"].shared for name in "ab"] == ["t", "t"]
    assert draft.spec.by_name["b_embedding"].max_length is None
    assert draft.spec.groups == {"all": ("a_embedding",)}
    assert draft.left_out == {
        "b.sequence_combiner": "what a model makes of its steps, its attention, cannot be said; no group reads "
        "them, and a pooled column would make one vector of them",
        "all.sequence_features": "it cannot be said",
    }


def test_without_feature_groups_a_model_reads_all_but_sequences(tmp_path):
    draft = one(tmp_path, "feature_configs { input_names: 'a' embedding_dim: 3 hash_bucket_size: 9 "
                          "feature_type: SequenceFeature } feature_configs { feature_name: 'b' "
                          "input_names: 'x' feature_type: RawFeature }")  # fmt: skip
    assert draft.spec.groups == {"features": ("kept", "b")}
    assert [c.name for c in draft.spec.columns] == ["kept", "a", "a_embedding", "b"]


def test_weights_of_two_inputs_are_listed(tmp_path):
    tag = "feature_type: TagFeature hash_bucket_size: 9"
    draft = one(tmp_path, f"feature_configs {{ input_names: ['a', 'w'] {tag} }} "
                          f"feature_configs {{ input_names: ['b', 'w'] {tag} }}",
                "input_fields { input_name: 'a' } input_fields { input_name: 'b' } "
                "input_fields { input_name: 'w' }")  # fmt: skip
    assert [c.name for c in draft.spec.columns] == ["kept", "a_ids", "a"]
    assert draft.left_out == {"b": "its weights, w, weigh a too"}


def test_shared_names_are_features_of_their_own(tmp_path):
    draft = one(tmp_path, "feature_configs { input_names: 'a' shared_names: ['x2'] hash_bucket_size: 9 }",
                "input_fields { input_name: 'a' } input_fields { input_name: 'x2' }")  # fmt: skip
    assert [(c.name, c.buckets) for c in draft.spec.columns] == [("kept", 3), ("a", 9), ("x2", 9)]


def test_a_lookup_has_the_ids_of_what_the_map_has_for_the_key(tmp_path, transform):
    draft = one(tmp_path, "feature_configs { feature_name: 'level' input_names: ['kept', 'levels'] separator: ';' "
                          "feature_type: LookupFeature kv_separator: '=' hash_bucket_size: 1000 embedding_dim: 4 "
                          "lookup_max_sel_elem_num: 5 }"
                          "feature_configs { feature_name: 'of_day' input_names: ['day', 'days'] "
                          "feature_type: LookupFeature kv_separator: ':' hash_bucket_size: 50 }",
                "input_fields { input_name: 'levels' } input_fields { input_name: 'days' } "
                "input_fields { input_name: 'day' input_type: INT64 }")  # fmt: skip
    made = transform(
        draft.spec,
        kept=pa.array(["a", "b", "a", None]),
        levels=pa.array(["a=gold;b=new", "a=gold", "b=x;a=gold;a=ü", "a=gold"]),
        day=pa.array([1, 2, 3, 0]),
        days=pa.array(["1:mo|2:tu", None, "1:mo", "00:no|0:so"]),
    )
    gold = bucket("gold", 1000)
    assert made["level"] == [[gold], [], [gold, bucket("ü", 1000)], []]
    assert made["of_day"] == [[bucket("mo", 50)], [], [], [bucket("so", 50)]]
    assert draft.spec.by_name["level_embedding"].combiner == "sum"
    assert draft.left_out == {
        "level.lookup_max_sel_elem_num": "it cannot be said",
        "day.default_val": "a missing value is absent, and not 0",
    }


def test_what_is_split_is_crossed_first(tmp_path):
    draft = one(tmp_path, "feature_configs { feature_name: 'ab' input_names: ['kept', 'a'] feature_type: ComboFeature "
                          "combo_input_seps: ['', '|'] hash_bucket_size: 9 }")  # fmt: skip
    assert [part.input for part in draft.spec.by_name["ab"].of] == ["a", "kept"]
    assert draft.spec.inputs["a"].delimiter == "|"


@pytest.mark.parametrize(
    ("text", "what", "received"),
    [
        ("a: 1\nb {", ", line 2: is not the text format of protocol buffers", "the end of the file"),
        ("a: 1\nb 3", ", line 2: is not the text format of protocol buffers", "3"),
        ('{"a": 1}', ", line 1: is not the text format of protocol buffers", "{"),
        ("a: 'open\n", ", line 1: is not the text format of protocol buffers", "'open"),
    ],
)
def test_what_is_no_config(tmp_path, text, what, received):
    path = tmp_path / "no.config"
    path.write_text(text)
    with pytest.raises(SpecError) as error:
        convert("easyrec", str(path))
    assert error.value.what == f"{path}{what}"
    assert error.value.received == received


def test_a_config_without_features(tmp_path):
    path = tmp_path / "empty.config"
    path.write_text(r"model_dir: 'a\tb\303\274\x21'")
    with pytest.raises(SpecError) as error:
        convert("easyrec", path)
    assert error.value.what == "convert: none of the columns can be said"
