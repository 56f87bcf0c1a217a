"""From the columns of other libraries to a spec, one file a library: `convert(source) -> Draft`."""

from __future__ import annotations

from typing import Any

from tfloom.feature_specs import discovery
from tfloom.feature_specs.draft import Draft


def convert(library: str, source: Any) -> Draft:
    """What `source` says of columns, in our language. Raises SpecError where there is no such converter.

    library: the converter's name, such as feature_columns; its module says what `source` may be.
    """
    draft: Draft = discovery.module(__name__, library, "convert").convert(source)
    return draft
