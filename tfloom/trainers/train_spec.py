"""The train spec: how a model learns, and what it is made of. A frozen value, as the feature spec is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from tfloom.feature_specs import discovery, storage
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import explain, load, validate
from tfloom.trainers import backbone as backbones
from tfloom.trainers.backbone import Backbone

BACKBONES = "tfloom.trainers.backbones"


def _backbone(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or "name" not in value:
        return value
    cls: type[Backbone] = discovery.the_class(BACKBONES, str(value["name"]), Backbone, "name")
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise explain(error, cls, value) from None


class EarlyStopping(BaseModel):
    """Stop when the head's metric on the eval split has not been better for so long.

    patience: epochs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    patience: Annotated[int, Field(ge=1)] = 3


class TrainSpec(BaseModel):
    """How a model learns. Every field has a default.

    trainer: keras, or estimator: tf.estimator's canned estimators.
    label: of the spec, where it has several. head: where it is not the label's own task.
    backbone: its name and its fields, such as {name: dnn, hidden: [256, 128]}; without a name, what the spec's groups
      ask for.
    epochs: how often every row of the train split is learned from. batch_size: the rows of a step.
    optimizer: adam, adamw, adagrad, ftrl, rmsprop or sgd. momentum: of sgd and rmsprop.
    weight_decay: of kernels and tables, variables of two dimensions or more: half of it times their squares is added to
      the loss, as PyTorch's optimizers do; of adamw, which does that beside the gradients, of all variables.
    clip_norm: the norm that the gradients of a step together are scaled down to where theirs is greater.
    learning_rate: of the steps. learning_rate_batch: the batch size that it is said for; of another it is in proportion
      to `batch_size`. Left out, it is as it is said.
    schedule: of the learning rate: constant, cosine to 0, or step, a tenth of it from each of the `milestones` on.
    milestones: epochs, rising. warm_up_epochs: in which the rate grows to its own at the start.
    mixed_precision: whether layers compute in float16 where there is a GPU, with the loss scaled, and in bfloat16 where
      there is none. Variables, logits and losses are float32, and so is all that is evaluated, exported and predicted
      afterwards.
    seed: of the first weights, the order of rows and dropout.
    early_stopping: when to stop before the last epoch; without it the run goes to the end.
    checkpoint_steps: how many steps lie between two checkpoints, beside that at the end of each epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainer: Literal["keras", "estimator"] = "keras"
    label: str | None = None
    head: str | None = None
    backbone: Annotated[SerializeAsAny[Backbone] | dict[str, Any], BeforeValidator(_backbone)] = {}
    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=1)] = 512
    optimizer: Literal["adam", "adamw", "adagrad", "ftrl", "rmsprop", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    learning_rate_batch: Annotated[int, Field(ge=1)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    schedule: Literal["constant", "cosine", "step"] = "constant"
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = ()
    warm_up_epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    mixed_precision: bool = False
    early_stopping: EarlyStopping | None = None
    checkpoint_steps: Annotated[int, Field(ge=1)] = 1000
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _fits(self) -> TrainSpec:
        if self.momentum is not None and self.optimizer not in ("sgd", "rmsprop"):
            raise ValueError(f"has a momentum, which {self.optimizer} does not take")
        if bool(self.milestones) != (self.schedule == "step"):
            raise ValueError("milestones go with schedule: step, and it with them")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones are epochs in rising order")
        return self

    @property
    def scaled_learning_rate(self) -> float:
        """The learning rate at this batch size (Goyal et al. 2017, arXiv:1706.02677, section 2.1)."""
        return self.learning_rate * self.batch_size / (self.learning_rate_batch or self.batch_size)

    def backbone_for(self, spec: FeatureSpec) -> Backbone:
        """The backbone with every field said. Raises SpecError where a field is none of the chosen one's."""
        if isinstance(self.backbone, Backbone):
            return self.backbone
        chosen = {"name": backbones.default(spec), **self.backbone}
        return validate({"backbone": chosen}, TrainSpec, "train spec").backbone  # type: ignore[return-value]

    def resolved(self, spec: FeatureSpec) -> TrainSpec:
        """With its backbone said: what is written beside the model."""
        return self.model_copy(update={"backbone": self.backbone_for(spec)})

    def to_json(self) -> str:
        """As `load_train_spec` reads it from a .json file."""
        return self.model_dump_json(indent=2) + "\n"


def load_train_spec(path: str | Path | None = None, changes: Mapping[str, str] | None = None) -> TrainSpec:
    """Read a train spec from a .yaml or .json file, or take the defaults, then set what `changes` says.

    changes: YAML texts by dotted key, such as {"backbone.hidden": "[256, 128]"}.

    Raises:
      SpecError: in three parts.
    """
    values = _load(Path(path)).model_dump(exclude_unset=True) if path else {}
    for key, text in (changes or {}).items():
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            if isinstance(place.get(parent), str):  # backbone: dnn is short for {name: dnn}
                place[parent] = {"name": place[parent]}
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise SpecError(f"--set {key}: {parent} has no fields", expected="KEY=VALUE", received=f"{key}={text}")
        try:
            place[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SpecError(f"--set {key}: is not a value", expected="a YAML value", received=text) from None
    return validate(values, TrainSpec, "--set" if changes else str(path))


def _load(path: Path) -> TrainSpec:
    """With its files absolute, so that the train spec means the same ones wherever it is written to."""
    spec = load(path, TrainSpec)
    backbone = spec.backbone
    if not isinstance(backbone, Backbone):
        return spec
    absolute = {field: storage.absolute(path.parent, file) for field, file in backbone.files().items()}
    return spec.model_copy(update={"backbone": backbone.model_copy(update=absolute)}) if absolute else spec
