"""A command whose options that are not ours are Beam's."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class BeamCommand(TyperCommand):
    """Hands the options of Beam on in `context.args`, as Beam spells them; one that nobody knows is an error."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the arguments that are ours; Beam is imported where there are others."""
        ours = {name: not getattr(one, "is_flag", False) for one in self.get_params(ctx) for name in one.opts}
        beams: list[str] = []
        if any(one.startswith("--") and one.partition("=")[0] not in ours for one in args):
            from tfloom.pipeline.engines import beam_options

            args, beams = beam_options.divided(args, ours)
        super().parse_args(ctx, args)
        ctx.args = beams
        return beams

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The options of Beam that people set."""
        from tfloom.pipeline.engines import beam_options

        with formatter.section("Beam's options, all of which are passed on; those that people set"):
            formatter.write_text("A job with a --runner is run by Beam. See docs/dataflow.md, flink.md and spark.md.")
        for about, names in beam_options.COMMON.items():
            with formatter.section(about):
                formatter.write_dl([(f"--{name}", beam_options.help_of(name)) for name in names])
