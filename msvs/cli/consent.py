"""Commands for the consent chain, and for exporting and erasing personal data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from msvs.cli.common import (
    JSON,
    MODES,
    OK,
    Arguments,
    CommandFailed,
    T,
    command,
    contexts,
    fail,
    find_workspace_of,
    group,
    in_database,
    mode_option,
    require_secret,
    services_of_command,
    show,
    workspace_option,
)
from msvs.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from msvs.api.consent.consent_audit import Undone
    from msvs.api.consent.consent_chain import VerifiedChain
    from msvs.api.context import Context, Services

consent = group("consent")


@command(
    "verify",
    "Recompute the chain of consent records; exit status 1 if one was changed.",
    workspace_option(required=False, more="; without it, all of them"),
    click.Option(
        ["--since-head"], metavar="HASH", help="a chain head that you noted before, which must still be in a chain"
    ),
    JSON,
    group=consent,
)
def verify_consent(settings: Settings, arguments: Arguments) -> int:
    """Verify the chains of consent and show their heads; FAILED where one is broken."""
    from msvs.api.consent import consent_chain

    async def verify() -> consent_chain.Verification:
        workspace_id = None if arguments.workspace is None else await find_workspace_of(arguments)
        return await consent_chain.verify(
            services_of_command(), workspace_id=workspace_id, noted_head=arguments.since_head
        )

    require_secret(settings)
    found = in_database(settings, verify())
    chains = [_shape_chain(chain) for chain in found.chains]
    if arguments.json:
        shown = {
            "whole": found.is_whole,
            "noted_head_found": found.has_noted_head,
            "register": found.fault,
            "chains": chains,
        }
        print(json.dumps(shown, indent=2))
    else:
        show(arguments, chains)
        print(f"\n{sum(chain.rows for chain in found.chains)} rows in {len(chains)} chains.")
    if found.is_whole:
        return OK
    broken = sum(chain.first_break is not None for chain in found.chains)
    if broken:
        return fail(f"broken chains: {broken}")
    return fail(found.fault or "the head that was noted is in no chain")


def _shape_chain(chain: VerifiedChain) -> dict[str, object]:
    from msvs.api import ids

    fault = chain.first_break
    return {
        "workspace": ids.encode_id(ids.WORKSPACE, chain.workspace_id),
        "mode": MODES[chain.livemode],
        "rows": chain.rows,
        "head": chain.head,
        "broken_at": None if fault is None else fault.sequence,
        "break": None if fault is None else fault.reason,
    }


@command(
    "audit",
    "List opt-ins that undid an opt-out without newer evidence; exit status 1 if there are any.",
    workspace_option(required=False, more="; without it, all of them"),
    click.Option(["--repair"], is_flag=True, help="restore those opt-outs"),
    JSON,
    group=consent,
    changes="repair",
)
def audit_consent(settings: Settings, arguments: Arguments) -> int:
    """List the opt-ins that stand without reason, and opt their phones out again if asked; FAILED where any is left."""
    from msvs.api.consent import consent_audit

    async def audit() -> tuple[list[consent_audit.Undone], int]:
        workspace_id = None if arguments.workspace is None else await find_workspace_of(arguments)
        repaired = (
            await consent_audit.repair(services_of_command(), workspace_id=workspace_id) if arguments.repair else 0
        )
        return await consent_audit.audit(services_of_command(), workspace_id=workspace_id), repaired

    require_secret(settings)
    found, repaired = repairing(lambda: in_database(settings, audit()))
    shown = [_shape_undone(each) for each in found]
    if arguments.json:
        print(json.dumps({"opted_out_again": repaired, "opt_ins": shown}, indent=2))
    else:
        if shown:
            show(arguments, shown)
        if arguments.repair:
            print(told_repair(repaired))
    if not found:
        return OK
    return fail(f"opt-ins that undid an opt-out without newer evidence: {len(found)}")


def _shape_undone(undone: Undone) -> dict[str, object]:
    from msvs.api import ids
    from msvs.api.consent import consent
    from msvs.api.resources import moment, optional_id

    return {
        "workspace": ids.encode_id(ids.WORKSPACE, undone.workspace_id),
        "mode": MODES[undone.livemode],
        "entry": ids.encode_id(consent.CONSENT_EVENT, undone.id),
        "sequence": undone.sequence,
        "contact": optional_id(ids.CONTACT, undone.contact_id),
        "source": undone.source,
        "actor": undone.actor,
        "opted_out_at": moment(undone.opted_out_at),
        "opted_in_at": moment(undone.opted_in_at),
    }


@command(
    "seal",
    "Seal the consent chains as they are now, after you have investigated a change.",
    workspace_option(required=False, more="; without it, all of them"),
    JSON,
    group=consent,
    changes=True,
)
def seal_consent(settings: Settings, arguments: Arguments) -> None:
    """Seal the chains of consent as they stand, and say which."""
    from msvs.api import ids
    from msvs.api.consent import consent_seals

    async def seal() -> Sequence[tuple[UUID, bool]]:
        workspace_id = None if arguments.workspace is None else await find_workspace_of(arguments)
        return await consent_seals.seal_as_they_are(services_of_command(), workspace_id=workspace_id)

    require_secret(settings)
    sealed = in_database(settings, seal())
    shown = [{"workspace": ids.encode_id(ids.WORKSPACE, id), "mode": MODES[livemode]} for id, livemode in sealed]
    if arguments.json:
        print(json.dumps(shown, indent=2))
    else:
        show(arguments, shown)
        print(told_seals(len(shown)))


def told_seals(count: int) -> str:
    return f"Chains of consent sealed as they stand: {count}."


def told_repair(count: int) -> str:
    return f"Phones opted out again, whose opt-out had been undone without newer evidence: {count}."


def repairing(work: Callable[[], T]) -> T:
    """Do `work`. Raises CommandFailed where the chain of consent was written with another secret."""
    from msvs.api.consent.consent_audit import KeyMismatch

    try:
        return work()
    except KeyMismatch:
        raise CommandFailed(
            "the chain of consent has another secret: set DATA_DIR or MSVS_SECRET_KEY as the service has it"
        ) from None


@command(
    "export",
    "Export all data about a contact, as JSON.",
    workspace_option(),
    click.Argument(["contact"], metavar="CONTACT_ID"),
    group=consent,
)
def export_contact(settings: Settings, arguments: Arguments) -> None:
    """Print all that is kept about a contact."""

    async def export() -> None:
        from msvs.api.privacy.contact_export import stream_contact

        ctx, id = await find_contact(services_of_command(), arguments, arguments.contact)
        # Close the stream in this task, even if the reader breaks off: its transaction belongs to this task.
        async with aclosing(stream_contact(ctx, id)) as pieces:
            async for piece in pieces:
                sys.stdout.buffer.write(piece)
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    require_secret(settings)
    in_database(settings, export())


@command(
    "erase",
    "Erase a contact by its id or its phone number; this cannot be undone.",
    workspace_option(),
    click.Argument(["who"], metavar="CONTACT_ID|PHONE"),
    mode_option(required=False, default="live", help="the mode in which a phone is erased (default live)"),
    JSON,
    group=consent,
    changes=True,
)
def erase_contact(settings: Settings, arguments: Arguments) -> None:
    """Erase a contact or a phone."""

    async def erase() -> dict[str, object]:
        import msgspec

        from msvs.api import ids
        from msvs.api.errors import NotFound
        from msvs.api.privacy import erasure
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await find_workspace_of(arguments)
        if arguments.who.startswith("+"):
            (ctx,) = contexts(services_of_command(), workspace_id, arguments.mode)
            async with unit_of_work():
                return dict(msgspec.to_builtins(await erasure.erase_phone(ctx, arguments.who)))
        id = ids.find_id(ids.CONTACT, arguments.who, "contact")
        for ctx in contexts(services_of_command(), workspace_id, None):
            try:
                async with unit_of_work():
                    return dict(msgspec.to_builtins(await erasure.erase_contact(ctx, id)))
            except NotFound:
                continue
        raise ids.missing("contact", arguments.who)

    require_secret(settings)
    show(arguments, in_database(settings, erase()))


async def find_contact(services: Services, arguments: Arguments, text: str) -> tuple[Context, UUID]:
    """Find the contact named on the command line, in either mode."""
    from msvs.api import ids
    from msvs.api.contacts import contacts
    from msvs.api.errors import NotFound

    id = ids.find_id(ids.CONTACT, text, "contact")
    for ctx in contexts(services, await find_workspace_of(arguments), None):
        try:
            await contacts.get_contact(ctx, id)
        except NotFound:
            continue
        return ctx, id
    raise ids.missing("contact", text)
