"""The texts of a campaign and of a sequence as they are asked for: bodies, or templates, with their snippets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

from msgspec import UNSET, structs

from msvs.api.campaigns.requests import CreateCampaign, PreviewCampaign, UpdateCampaign
from msvs.api.campaigns.sequence_requests import SequenceStep, SequenceStepCreate
from msvs.api.campaigns.variants import AbTestOptions, VariantOptions
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.messages.bodies import Wanted, read_bodies

D = TypeVar("D", CreateCampaign, PreviewCampaign, UpdateCampaign)


async def with_texts(ctx: Context, data: D) -> D:
    """Return a campaign, or changes to one, whose bodies are the texts that they ask for. Raises InvalidRequest."""
    test = data.ab_test if isinstance(data.ab_test, AbTestOptions) else None
    variants: Sequence[VariantOptions] = () if test is None else test.variants
    asked = [Wanted(data.body, data.template_id or None), *map(_wanted_of, range(len(variants)), variants)]
    wanted: dict[int, Wanted] = {
        place: each for place, each in enumerate(asked) if not each.is_plain and not _is_left_out(data, place, each)
    }
    if not wanted:
        return data
    texts = dict(zip(wanted, await _read(ctx, [*wanted.values()]), strict=True))
    changes: dict[str, object] = {"body": texts.get(0, data.body), "template_id": None}
    if test is not None:
        changes["ab_test"] = structs.replace(
            test,
            variants=[
                structs.replace(each, body=texts.get(place, each.body), template_id=None)
                for place, each in enumerate(variants, start=1)
            ],
        )
    return structs.replace(data, **changes)


def _wanted_of(place: int, variant: VariantOptions) -> Wanted:
    body = UNSET if variant.body is None else variant.body
    return Wanted(body, variant.template_id, f"ab_test.variants[{place}].")


def _is_left_out(data: CreateCampaign | PreviewCampaign | UpdateCampaign, place: int, wanted: Wanted) -> bool:
    """Return whether a body stays as it is: that of an update, or of a variant, which has the campaign's then."""
    if wanted.body is not UNSET or wanted.template_id is not None:
        return False
    return place > 0 or isinstance(data, UpdateCampaign)


async def read_steps(ctx: Context, steps: Sequence[SequenceStep]) -> list[SequenceStep]:
    """Return steps with the texts that they ask for. Raises InvalidRequest."""
    texts = await _read(
        ctx, [Wanted(step.body, _template_of(step), f"steps[{place}].") for place, step in enumerate(steps)]
    )
    told = [structs.asdict(step) | {"body": text} for step, text in zip(steps, texts, strict=True)]
    return [SequenceStep(**{name: each[name] for name in SequenceStep.__struct_fields__}) for each in told]


def _template_of(step: SequenceStep) -> str | None:
    return step.template_id if isinstance(step, SequenceStepCreate) else None


async def _read(ctx: Context, wanted: Sequence[Wanted]) -> list[str]:
    found = await read_bodies(ctx, wanted)
    for each in found:
        if isinstance(each, InvalidRequest):
            raise each
    return cast("list[str]", found)
