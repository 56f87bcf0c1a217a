"""Write what the docs say of the code: tables of fields, the command line reference, the JSON Schema of a spec.

python docs/generate.py          write what is out of date
python docs/generate.py --check  write nothing, name what is out of date and exit 1

A page asks for the table of a model by `<!-- fields: begin NAME -->` and `<!-- fields: end -->`, where NAME is a column
kind, a class of `MODELS`, a backbone (the fields of its own), ClipBackbone (those that all over clips share) or
VideoBackbone (those of networks over frames). The meaning of a field is what the docstring of its class, or of a
parent, says after `field: `; a field that no docstring explains is an error. What a kind is (`tfloom list columns` in
full) stands between `<!-- about: begin NAME -->` and `<!-- about: end -->`, the table of all kinds between
`<!-- kinds: begin columns -->` and `<!-- kinds: end -->`. The example of its page is written by `docs/examples.py`.
Beam's options that the help shows stand between `<!-- beam: begin GROUP -->` and `<!-- beam: end -->`, GROUP being one
of those of the help, in lower case and with dashes. `docs/dataflow/metadata.json`, the parameters of the Flex Template,
is the help of `tfloom preprocess` too.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from tfloom.cli._console import tensorflow
from tfloom.feature_specs import discovery, json_schema
from tfloom.feature_specs.augmentation import Augmentation
from tfloom.feature_specs.column import Column
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.spec import KINDS, kind
from tfloom.feature_specs.split import ByColumn, ByHash, ByTime
from tfloom.feature_specs.weight import Weight

with tensorflow():
    from tfloom.trainers.train_spec import EarlyStopping, TrainSpec

DOCS = Path(__file__).parent
MODELS = {
    cls.__name__: cls
    for cls in (Augmentation, Input, Label, Weight, ByHash, ByColumn, ByTime, EarlyStopping, TrainSpec)
}
DISCRIMINATORS = ("kind", "by")
# At the start of a line: a page that is shown as code, indented, is left alone.
BLOCK = re.compile(
    r"^(<!-- (fields|about|kinds|beam): begin ([\w-]+) -->\n).*?^(<!-- \2: end -->)", re.DOTALL | re.MULTILINE
)
FIELDS = re.compile(r"(?:^|(?<=\. ))([a-z_0-9]+(?:, [a-z_0-9]+)*):\s", re.MULTILINE)


def main(check: bool) -> int:
    """The exit status."""
    stale = {path: text for path, text in generated() if not path.is_file() or path.read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        print(f"{path.relative_to(DOCS.parent)}: {'out of date' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


def generated() -> Iterator[tuple[Path, str]]:
    """Each generated file, or page with a generated block, and what it should hold."""
    yield DOCS / "spec.schema.json", json.dumps(json_schema(), indent=2) + "\n"
    yield DOCS / "cli.md", cli_reference()
    yield DOCS / "dataflow" / "metadata.json", json.dumps(template(), indent=2) + "\n"
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if BLOCK.search(text):
            yield path, BLOCK.sub(lambda match: match[1] + block(match[2], match[3]) + match[4], text)


def block(what: str, name: str) -> str:
    """The text between two marks."""
    tables = {"fields": lambda: field_table(model(name)), "about": lambda: about(kind(name)), "kinds": kinds,
              "beam": lambda: beam_table(name)}  # fmt: skip
    return tables[what]()


def kinds() -> str:
    """A Markdown table of the kinds of column: what `tfloom list columns` prints."""
    lines = [table_row("kind", "what it is", "the raw row", "what the model sees"), table_row(*["---"] * 4)]
    for name in discovery.names(KINDS):
        cls = kind(name)
        link = f"[{name}](columns/{name}.md)"
        lines.append(table_row(link, first_line(cls), cls.raw_row(), cls.feature_type().__name__))
    return "\n".join(lines) + "\n"


def model(name: str) -> type[BaseModel]:
    """The class of a column kind, of a backbone, or of `MODELS`."""
    if name in MODELS:
        return MODELS[name]
    if name in discovery.names(KINDS):
        return kind(name)
    from tfloom.trainers.backbone import Backbone
    from tfloom.trainers.train_spec import BACKBONES
    from tfloom.trainers.video_backbone import ClipBackbone, VideoBackbone

    shared = {cls.__name__: cls for cls in (ClipBackbone, VideoBackbone)}
    return shared.get(name) or discovery.the_class(BACKBONES, name, Backbone, "name")


def about(cls: type[Column]) -> str:
    """What the docstrings of a kind's module and class say first; what it reads of a raw row and what a model sees."""
    line = first_line(cls)
    meaning = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
    linked = re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", meaning)
    rows = [("the raw row", "the model sees"), ("---", "---"), (cls.raw_row(), f"`{cls.feature_type().__name__}`")]
    return "\n".join([line[:1].upper() + line[1:], "", linked, "", *(table_row(*row) for row in rows)]) + "\n"


def first_line(cls: type[Column]) -> str:
    """Of the docstring of a kind's module, without the kind's name."""
    told = (inspect.getdoc(importlib.import_module(cls.__module__)) or "").splitlines()[0]
    return told.removeprefix(f"`{cls.model_fields['kind'].default}`: ")


# -- fields -----------------------------------------------------------------------------------------------------------


def field_table(cls: type[BaseModel]) -> str:
    """A Markdown table of the fields of a model, but for the one that says which model it is.

    Of a backbone, whose `name` says that: those that its own class declares.
    """
    whole = issubclass(cls, Column) or cls in MODELS.values()
    told = set(cls.model_fields) if whole else set(cls.__annotations__) - {"name"}
    properties = cls.model_json_schema()["properties"]
    definitions = cls.model_json_schema().get("$defs", {})
    meanings = field_meanings(cls)
    lines = [table_row("field", "type", "default", "meaning"), table_row(*["---"] * 4)]
    for name, field in cls.model_fields.items():
        if name in DISCRIMINATORS or name not in told:
            continue
        if name not in meanings:
            raise LookupError(f"{cls.__name__}: its docstring does not say what `{name}` means")
        default = "required" if field.is_required() else default_words(properties[name].get("default"))
        cells = (f"`{name}`", type_words(properties[name], definitions), default, meanings[name])
        lines.append(table_row(*cells))
    return "\n".join(lines) + "\n"


def table_row(*cells: str) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def field_meanings(cls: type[BaseModel]) -> dict[str, str]:
    """What docstrings say after `field: `, or after `field, field: ` for several at once; a child's word counts."""
    meanings: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        if not issubclass(ancestor, BaseModel) or ancestor is BaseModel:
            continue
        # A paragraph ends what was said of a field before it.
        for paragraph in re.split(r"\n\s*\n", re.sub(r"\n +", "\n", ancestor.__doc__ or "")):
            _, *found = FIELDS.split(paragraph)
            for names, meaning in zip(found[::2], found[1::2], strict=True):
                meanings |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return meanings


def type_words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON Schema in the words of one who writes YAML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        properties = definitions[name].get("properties", {})
        return "`{" + ", ".join(properties) + "}`"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for of in ("anyOf", "oneOf"):
        if of in schema:
            words = [type_words(one, definitions) for one in schema[of] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(words))
    if schema.get("type") == "array":
        items = type_words(schema.get("items") or {"anyOf": schema["prefixItems"]}, definitions)
        return f"list of ({items})" if " or " in items else f"list of {items}"
    if schema.get("type") == "object":
        values = schema["additionalProperties"]
        return "mapping" if values is True else "mapping of name to " + type_words(values, definitions)
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]}" for key, sign in bounds.items() if key in schema]
    return " ".join([schema.get("format", schema.get("type", "value")), ", ".join(limits)]).strip()


def default_words(value: Any) -> str:
    """A default as YAML writes it; nothing where leaving the field out is a case of its own."""
    return "" if value in (None, [], {}) else f"`{json.dumps(value).strip(chr(34))}`"


# -- the command line -------------------------------------------------------------------------------------------------


def cli_reference() -> str:
    """Every command of `tfloom.cli.app` with its arguments and options."""
    from tfloom.cli import app

    root = typer.main.get_command(app)
    context = root.make_context("tfloom", [], resilient_parsing=True)
    commands: dict[str, Any] = dict(sorted(getattr(root, "commands", {}).items()))
    pages = [command_page(f"tfloom {name}", command, context) for name, command in commands.items()]
    index = [
        f"- [`tfloom {name}`](#tfloom-{name}): {markdown(command.help).partition(chr(10))[0]}"
        for name, command in commands.items()
    ]
    head = ["# The command line", "Written by `docs/generate.py` from the code.", markdown(root.help)]
    return "\n\n".join([*filter(None, head), "\n".join(index), *pages]) + "\n"


def beam_table(group: str) -> str:
    """Options of Beam that the help of `tfloom preprocess` shows."""
    from tfloom.pipeline.engines.beam_options import COMMON, help_of

    (names,) = (names for about, names in COMMON.items() if about.lower().replace(" ", "-") == group)
    rows = [table_row(f"`--{name}`", help_of(name)) for name in names]
    return "\n".join([table_row("option", "what"), table_row("---", "---"), *rows]) + "\n"


def template() -> dict[str, Any]:
    """The metadata of the Flex Template: what `tfloom preprocess` takes, and what its help says of it.

    Project, region, name, and folders for what is temporary are no parameters: every launch has them.
    """
    from tfloom.cli import app
    from tfloom.pipeline.engines.beam_options import COMMON, help_of

    command = typer.main.get_command(app).commands["preprocess"]
    help_line = command.help.partition("\n")[0]
    parameters = []
    for one in command.params:
        # Those left out are of a terminal, or of a run on one machine.
        if one.name not in ("help", "dry_run", "threads", "memory_limit"):
            name = "output" if one.name == "out" else one.name.strip("_")
            default = f" Left out: {one.default}." if one.default and not one.required else ""
            parameters.append(parameter(name, one.help + default, optional=name not in ("spec", "output")))
    for about in ("Its workers", "The service", "What workers install"):
        # The image has all of ours.
        names = (name for name in COMMON[about] if name not in ("setup_file", "extra_package", "requirements_file"))
        parameters += [parameter(name, help_of(name), optional=name != "sdk_container_image") for name in names]
    return {"name": "tfloom preprocess", "description": help_line, "parameters": parameters}


def parameter(name: str, told: str, *, optional: bool) -> dict[str, Any]:
    """As a Flex Template has it."""
    label = name.replace("_", " ").capitalize()
    return {"name": name, "label": label, "helpText": told, "isOptional": optional, "paramType": "TEXT"}


def command_page(name: str, command: Any, parent: Any) -> str:
    """One command: how it is called, what it does, what it takes."""
    context = command.make_context(name.split()[-1], [], parent=parent, resilient_parsing=True)
    records = [parameter.get_help_record(context) for parameter in command.params if parameter.name != "help"]
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"## {name}", f"```\n{usage}\n```", markdown(command.help)]
    if rows := [table_row(f"`{names}`", meaning) for names, meaning in filter(None, records)]:
        parts.append("\n".join([table_row("", ""), table_row("---", "---"), *rows]))
    return "\n\n".join(filter(None, parts))


def markdown(text: str | None) -> str:
    """Help as Markdown: a paragraph with indented lines, an example, is code."""
    paragraphs = re.split(r"\n\s*\n", (text or "").replace("\b", "").replace("\f", "").strip())
    return "\n\n".join(f"```\n{p}\n```" if re.search(r"^ ", p, re.MULTILINE) else p for p in paragraphs)


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
