"""Wide & deep learning on census income, as such a program was written for TensorFlow 1.4 to 2.15.

python census_program.py TRAIN.csv EVAL.csv MODEL_DIR
"""

import sys

import tensorflow as tf

CSV_COLUMNS = [
    "age", "workclass", "education", "education_num", "marital_status", "occupation", "relationship",
    "capital_gain", "hours_per_week", "income_bracket",
]  # fmt: skip
CSV_COLUMN_DEFAULTS = [[0], [""], [""], [0], [""], [""], [""], [0.0], [0], [""]]
HASH_BUCKET_SIZE = 1000


def build_model_columns():
    age = tf.feature_column.numeric_column("age")
    education_num = tf.feature_column.numeric_column("education_num")
    capital_gain = tf.feature_column.numeric_column("capital_gain", normalizer_fn=tf.math.log1p)
    hours_per_week = tf.feature_column.numeric_column("hours_per_week")

    education = tf.feature_column.categorical_column_with_vocabulary_list(
        "education", ["Bachelors", "HS-grad", "11th", "Masters", "Some-college", "Doctorate"]
    )
    marital_status = tf.feature_column.categorical_column_with_vocabulary_list(
        "marital_status", ["Married-civ-spouse", "Divorced", "Never-married", "Widowed"], num_oov_buckets=2
    )
    relationship = tf.feature_column.categorical_column_with_vocabulary_list(
        "relationship", ["Husband", "Not-in-family", "Wife", "Own-child", "Unmarried"]
    )
    workclass = tf.feature_column.categorical_column_with_hash_bucket("workclass", hash_bucket_size=20)
    occupation = tf.feature_column.categorical_column_with_hash_bucket("occupation", hash_bucket_size=HASH_BUCKET_SIZE)

    age_buckets = tf.feature_column.bucketized_column(age, boundaries=[18, 25, 30, 35, 40, 45, 50, 55, 60, 65])

    base_columns = [education, marital_status, relationship, workclass, occupation, age_buckets]
    crossed_columns = [
        tf.feature_column.crossed_column(["education", "occupation"], hash_bucket_size=HASH_BUCKET_SIZE),
        tf.feature_column.crossed_column([age_buckets, "education", "occupation"], hash_bucket_size=HASH_BUCKET_SIZE),
    ]
    deep_columns = [
        age,
        education_num,
        capital_gain,
        hours_per_week,
        tf.feature_column.indicator_column(workclass),
        tf.feature_column.indicator_column(education),
        tf.feature_column.indicator_column(marital_status),
        tf.feature_column.indicator_column(relationship),
        tf.feature_column.embedding_column(occupation, dimension=8),
    ]
    return base_columns + crossed_columns, deep_columns


def build_estimator(model_dir):
    wide_columns, deep_columns = build_model_columns()
    run_config = tf.estimator.RunConfig(tf_random_seed=42, save_checkpoints_steps=60).replace(
        session_config=tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    )
    return tf.estimator.DNNLinearCombinedClassifier(
        model_dir=model_dir,
        linear_feature_columns=wide_columns,
        linear_optimizer="Ftrl",
        dnn_feature_columns=deep_columns,
        dnn_hidden_units=[32, 16],
        dnn_optimizer=lambda: tf.keras.optimizers.legacy.Adagrad(
            learning_rate=tf.compat.v1.train.exponential_decay(
                0.1, tf.compat.v1.train.get_global_step(), decay_steps=100, decay_rate=0.96
            )
        ),
        dnn_dropout=0.1,
        batch_norm=True,
        config=run_config,
    )


def input_fn(data_file, num_epochs, shuffle, batch_size):
    def parse_csv(value):
        columns = tf.io.decode_csv(value, record_defaults=CSV_COLUMN_DEFAULTS)
        features = dict(zip(CSV_COLUMNS, columns, strict=True))
        labels = features.pop("income_bracket")
        return features, tf.equal(labels, ">50K")

    dataset = tf.data.TextLineDataset(data_file)
    if shuffle:
        dataset = dataset.shuffle(buffer_size=1000, seed=42)
    return dataset.batch(batch_size).map(parse_csv).repeat(num_epochs)


def main(train_file, eval_file, model_dir):
    estimator = build_estimator(model_dir)
    wide_columns, deep_columns = build_model_columns()
    serving_input_receiver_fn = tf.estimator.export.build_parsing_serving_input_receiver_fn(
        tf.feature_column.make_parse_example_spec(wide_columns + deep_columns)
    )
    train_spec = tf.estimator.TrainSpec(input_fn=lambda: input_fn(train_file, None, True, 50), max_steps=120)
    eval_spec = tf.estimator.EvalSpec(
        input_fn=lambda: input_fn(eval_file, 1, False, 50),
        steps=None,
        exporters=[tf.estimator.FinalExporter("census", serving_input_receiver_fn)],
        start_delay_secs=0,
        throttle_secs=0,
    )
    metrics, _ = tf.estimator.train_and_evaluate(estimator, train_spec, eval_spec)
    return metrics


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
