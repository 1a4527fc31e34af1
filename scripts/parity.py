"""Writes docs/parity.md: each operation of msvs/api, the REST routes and GraphQL fields that reach it, and why not."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
API = ROOT / "msvs" / "api"
PAGE = ROOT / "docs" / "parity.md"
# Anyone who an operation is done for is its first parameter.
CALLERS = ("Context", "Visitor", "Identity")

HEAD = """\
# What each front reaches

Both fronts call the same operations, so what one can do the other can. This table is made from the code by
`python -m scripts.parity`; a test compares it, and refuses a gap that has no reason.

| Operation | REST | GraphQL |
|---|---|---|
"""

# Fields that read a row by its id through the request's loader, in place of the operation that reads one.
READ_BY_LOADER: Mapping[str, str] = {
    "campaigns.get_campaign": "campaign",
    "canned_answers.get_canned_answer": "cannedAnswer",
    "checkout.get_checkout": "checkout",
    "contacts.get_contact": "contact",
    "import_jobs.get_import": "contactImport",
    "export_jobs.get_export": "export",
    "bulk_actions.get_bulk_action": "bulkAction",
    "events.get_event": "event",
    "keywords.get_keyword": "joinKeyword",
    "lists.get_list": "contactList",
    "messages.get_message": "message",
    "replies.get_inbound": "inboundMessage",
    "segments.get_segment": "segment",
    "senders.get_sender": "sender",
    "sources.get_sync": "listSync",
    "suppressions.get_suppression": "suppression",
    "endpoints.get_webhook": "webhook",
    "sequences.get_sequence": "sequence",
    "conversions.get_conversion": "conversion",
    "enrollments.get_enrollment": "enrollment",
    "templates.get_template": "messageTemplate",
    "snippets.get_snippet": "snippet",
}
# Fields that read a list through a loader that reads those of many parents at once.
LISTED_BY_LOADER: Mapping[str, str] = {
    "ab_tests.report_ab_test": "Campaign.abTest",
    "campaigns.campaign_stats": "Campaign.stats",
    "consent.list_contact_consent": "Contact.consentHistory",
    "lists.list_members": "ContactList.members",
    "sources.list_syncs": "ContactList.syncs",
    "endpoints.list_attempts": "Webhook.attempts",
}

PEOPLE = "for people: an API key has no user behind it"
KEYS = "a leaked key must not make or end keys"
DASHBOARD = "a number for the dashboard; REST serves resources and their events"
HANDSET = "for the sandbox's handset; a program reads messages and inbound messages"
SEARCH = "for the dashboard's search; a program filters each list by `q`, `phone` and `email`"
MANY = "reads many at once for a list; a route reads one"
COMMAND = "for operators, as a command of `msvs`: it reads or writes a file of any length"
LONG_GONE = "for operators, as a command of `msvs`: the person who is asked for has no contact, and no id"
TWILIO = "for code that comes from Twilio, through its front"
OPERATORS = "for operators, who log in at /ops"
WHOLE = "a file in one request; a field takes it in parts, by `createImport` and `addImportPart`"
OF_ONE = "the field reads the timelines of many at once"

# Operation → why REST, or GraphQL, does not reach it.
NO_REST: Mapping[str, str] = {
    **dict.fromkeys(("operators.record", "operators.sign_in", "operators.sign_out"), OPERATORS),
    "audit.get_audit_entry": PEOPLE,
    **dict.fromkeys(("approvals.approve_campaign", "approvals.reject_campaign"), PEOPLE),
    "audit.list_audit": PEOPLE,
    "contact_export.stream_contact": COMMAND,
    "contact_pages.count_matching": DASHBOARD,
    "tags.count_tags": DASHBOARD,
    "erasure.erase_phone": LONG_GONE,
    "events.list_campaign_events": "for a campaign's page; a program hears of them by its webhooks",
    "explanations.message_timelines": MANY,
    "handset.count_handset_messages": HANDSET,
    "handset.get_handset": HANDSET,
    "handset.list_handset_messages": HANDSET,
    "handset.list_handsets": HANDSET,
    "inbox.count_thread_messages": DASHBOARD,
    "inbox.count_threads": DASHBOARD,
    "assignments.assign_thread": PEOPLE,
    "canned_answers.create_canned_answer": PEOPLE,
    "canned_answers.delete_canned_answer": PEOPLE,
    "canned_answers.get_canned_answer": PEOPLE,
    "canned_answers.list_canned_answers": PEOPLE,
    "canned_answers.update_canned_answer": PEOPLE,
    "notes.add_note": PEOPLE,
    "notes.delete_note": PEOPLE,
    "notes.list_notes": PEOPLE,
    "keys.issue_key": KEYS,
    "keys.list_keys": KEYS,
    "keys.revoke_key": KEYS,
    "keys.roll_key": KEYS,
    "redaction.delete_message": TWILIO,
    "sources.authorize_source": PEOPLE,
    "sources.grant_source": PEOPLE,
    "redaction.redact_message": TWILIO,
    "statistics.campaign_failures": DASHBOARD,
    "statistics.conversation_overview": DASHBOARD,
    "statistics.read_activity": DASHBOARD,
    "statistics.read_audience_growth": DASHBOARD,
    "statistics.read_campaign_activity": DASHBOARD,
    "statistics.read_conversion_activity": DASHBOARD,
    "statistics.read_deliverability": DASHBOARD,
    "messages.count_messages": DASHBOARD,
    "request_log.count_requests": DASHBOARD,
    "request_log.list_requests": DASHBOARD,
    "segments.segment_fields": DASHBOARD,
    "search.search_campaigns": SEARCH,
    "search.search_contacts": SEARCH,
    "search.search_lists": SEARCH,
    "search.search_messages": SEARCH,
    "search.search_segments": SEARCH,
    "sources.get_sync": "`GET /v1/lists/{id}/syncs` shows each in full",
    "statistics.read_usage": TWILIO,
    "suppressions.count_erased": COMMAND,
    "suppressions.export_rows": COMMAND,
    "suppressions.import_file": COMMAND,
}
NO_GRAPHQL: Mapping[str, str] = {
    **dict.fromkeys(("operators.record", "operators.sign_in", "operators.sign_out"), OPERATORS),
    "contact_export.stream_contact": COMMAND,
    "import_jobs.import_file": WHOLE,
    "erasure.erase_phone": LONG_GONE,
    "suppressions.count_erased": COMMAND,
    "suppressions.export_rows": COMMAND,
    "suppressions.import_file": COMMAND,
    "explanations.get_timeline": OF_ONE,
    "keys.find_keys": "`apiKeys` lists them all",
    "redaction.delete_message": TWILIO,
    "redaction.redact_message": TWILIO,
    "statistics.read_usage": TWILIO,
}
# Modules all of whose operations are for people.
FOR_PEOPLE = (
    "addresses",
    "confirmations",
    "login_sessions",
    "notifications",
    "passkeys",
    "saved_views",
    "second_factors",
    "users",
    "workspace_deletion",
)
# Operation → what it is a part of: nothing that a caller asks for by itself.
PARTS: Mapping[str, str] = {
    "enrollments.enter": "a call, list, keyword, tag or event that lets a contact in",
    "conversions.record_order": "creating a conversion",
    "conversions.refund_to": "refunding a conversion",
    "sequence_signals.enter_by_keyword": "a text with a keyword",
    "enrollments.enrollment_query": "listing enrollments",
    "sequence_signals.leave_on_reply": "a reply",
    "sequence_stats.sequence_stats": "reading sequences",
    "sequence_versions.current_version": "entering a sequence",
    "sequence_versions.find_versions": "reading enrollments",
    "settings_of_mode.find_settings_with": "previewing, creating and launching campaigns, and previewing messages",
    "settings_of_mode.find_settings": "everything the settings decide",
    "audiences.check_audience": "creating, changing and launching a campaign",
    "audiences.count_members": "previewing and creating a campaign",
    "audiences.estimate_credits": "creating, launching and previewing a campaign",
    "exclusions.check_exclusions": "creating, changing and previewing a campaign",
    "exclusions.check_kept": "launching a campaign",
    "exclusions.find_exclusion": "previewing and expanding a campaign",
    "exclusions.find_kept": "starting and resuming a campaign",
    "audiences.has_at_most": "creating, changing and launching a campaign",
    "caps.count_messages": "sending a batch",
    "caps.find_room": "sending a batch",
    "contacts.make_automatic": "sending a batch",
    "enqueue.insert_batch": "sending a batch",
    "messages.get_messages": "answering a repeated batch of GraphQL",
    "senders.choose_senders": "sending a message or a batch",
    "top_ups.change": "changing automatic top-up",
    "audiences.members_sql": "previewing and expanding a campaign",
    "import_merge.check_batch": "a dry run of an import",
    "import_merge.merge_batch": "running an import",
    "import_merge.undo_batch": "undoing an import",
    "imports.hold_list": "importing contacts",
    "import_jobs.add_bytes": "adding a part to an import's file, also at its signed address",
    "import_erasure.hold_imports": "erasing a contact",
    "import_erasure.erase_from_imports": "erasing a contact",
    "import_erasure.leave_out_erased": "reading the file of an import",
    "lists.delete_list": "deleting a list with its source",
    "sources.list_resources": "every answer that shows lists",
    "sources.list_resource": "every answer that shows a list",
    "sources.read_sources": "every answer that shows lists",
    "sources.forget_source": "disconnecting and deleting a list",
    "sources.hold_source": "disconnecting and deleting a list",
    "sources.begin_sync": "connecting, confirming and syncing a list",
    "sync_erasure.hold_sources": "erasing a contact",
    "sync_erasure.erase_from_syncs": "erasing a contact",
    "sync_merge.take_people": "syncing a list",
    "export_jobs.open_file": "fetching the file of an export at its signed address",
    "export_jobs.forget_files_of_people": "erasing a contact",
    "bulk_actions.forget_ids": "erasing a contact",
    "bulk_actions.forget_names": "erasing a contact",
    "saved_views.forget_views": "erasing a contact",
    "export_jobs.rename_in_conditions": "erasing a contact",
    "auth.require_open": "opening a signed address of a file",
    "export_rows.make_statement": "writing the file of an export",
    "messages.find_messages": "listing, counting and exporting messages",
    "segments.check_filter": "saving, previewing and exporting by a filter",
    "imports.opt_in_imported": "importing contacts",
    "audit.record_audit": "every change that the log holds",
    "authentication_log.audit_places": "changing a password, and confirming an address",
    "confirmations.confirm_fully": "transferring and deleting a workspace, and canceling that",
    "passkeys.use_passkey": "logging in and confirming with a passkey",
    "second_factors.use_code": "logging in and confirming with a code",
    "users.require_now": "deleting a workspace, and canceling that",
    "workspace_deletion.check_deletable": "deleting a workspace",
    "autoreplies.send_auto": "keyword replies and double opt-in",
    "ab_tests.ab_test_reports": "reading the A/B test of a campaign",
    "variants.check_ab_test": "creating, changing and previewing a campaign",
    "variants.check_senders": "launching a campaign",
    "preflights.read_guard_rails": "creating and launching a campaign",
    "previews.campaign_warnings": "creating, changing, cloning and launching a campaign",
    "previews.preview_kept": "starting a campaign",
    "reachability.note_heard": "taking in a message",
    "checks.check_campaign_sender": "creating, launching and previewing a campaign",
    "cancellation.cancel_campaign_contact": "opting out",
    "cancellation.cancel_campaign_messages": "canceling a campaign",
    "cancellation.cancel_messages": "erasing a contact",
    "cancellation.cancel_one": "canceling a message",
    "cancellation.cancel_waiting": "opting out",
    "cancellation.cancel_waiting_many": "suppressing phones",
    "cancellation.forgo_resend": "canceling a message",
    "caps.check_message": "previewing a message",
    "caps.count_message": "sending a message",
    "consent.confirm": "a reply that confirms",
    "consent.hold_suppressions": "making a contact, and suppressing phones",
    "consent.lock_suppressions": "erasing a contact",
    "consent.opt_in": "creating and updating a contact, and keyword replies",
    "consent.opt_in_many": "importing contacts",
    "consent.opt_out": "opting out, and keyword replies",
    "consent.repeat_opt_out": "a STOP that is said again",
    "consent.restore_suppressions": "importing contacts",
    "consent.suppress": "creating and importing suppressions",
    "contact_filters.compile_contacts": "listing contacts",
    "tags.change_tags": "tagging contacts, and importing them",
    "tags.find_tag": "listing contacts",
    "contacts.ensure_contact": "sending to a new number, and replies from one",
    "events.record_encoded": "expanding a campaign",
    "approvals.hold_at_launch": "creating, changing and launching a campaign",
    "approvals.require_second_person": "publishing a sequence",
    "bodies.check_body": "writing a template",
    "bodies.read_bodies": "sending a batch, and writing campaigns and sequences",
    "bodies.read_body": "previewing a message, and writing a template",
    "bodies.with_body": "sending a message",
    "texts.read_steps": "writing a sequence",
    "texts.with_texts": "writing and previewing a campaign",
    "exclusions.known_ids": "creating a campaign that leaves people out, and defining a sequence",
    "halting.halt": "pausing and canceling a campaign",
    "idempotency.answer_once": "every call with an idempotency key",
    "keywords.join": "a message that is a keyword",
    "keywords.match_keyword": "a message that is a keyword",
    "enqueue.insert_single": "sending a message",
    "revocation.find_opt_out": "opting in, and a reply that confirms",
    "revocation.find_opt_outs": "importing contacts",
    "status_callbacks.register": "sending a message through Twilio's front",
    "scope.find": "everything that reads or changes one thing",
    "replies.receive_inbound": "what a carrier brought, and a reply made up in the sandbox",
    "senders.automatic_sender": "keyword replies and double opt-in",
    "senders.check_usable": "creating, launching and previewing a campaign, and a reply made up in the sandbox",
    "senders.claim_default": "changing the settings",
    "senders.is_usable": "answering a thread, and expanding a campaign",
    "senders.choose_sender": "sending and previewing a message",
    "contacts.hold_external_id": "creating and changing a contact",
    "contacts.lock_external_ids": "importing contacts",
    "authentication_log.record_authentication": "everything that concerns who may log in",
    "login_sessions.begin_session": "logging in",
    "login_sessions.limit_passkey_logins": "logging in with a passkey",
    "second_factors.replace_codes": "setting up a second factor",
    "second_factors.limit_codes": "giving a code",
    "second_factors.tell_change": "every change of a second factor",
    "consent_seals.seal_head": "every change of consent",
    "addresses.limit_mails": "asking for a mail",
    "addresses.tell_password_changed": "resetting a password",
    "login_sessions.open_session": "logging in and signing up",
    "login_sessions.confirm_password": "changing a password",
    "login_sessions.rotate_session": "logging in and changing a password",
}


@cache
def operations() -> tuple[str, ...]:
    """Every public coroutine of msvs/api that is done for a caller, as `module.name`."""
    found = []
    for path in sorted(API.rglob("*.py"), key=lambda path: path.stem):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.AsyncFunctionDef) or node.name.startswith("_") or not node.args.args:
                continue
            annotation = node.args.args[0].annotation
            if isinstance(annotation, ast.Name) and annotation.id in CALLERS:
                found.append(f"{path.stem}.{node.name}")
    return tuple(found)


@cache
def _functions(module: str) -> dict[str, ast.AST]:
    """The functions and methods of a module of a front, by qualified name."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    found[f"{node.name}.{each.name}"] = each
    return found


@cache
def _imports(module: str) -> dict[str, str]:
    """Local name → what of msvs it stands for, at no matter what depth it is imported."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("msvs."):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _named(module: str, function: ast.AST) -> Iterator[str]:
    """The dotted names of msvs that a function refers to."""
    imports = _imports(module)
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            if node.id in imports:
                yield imports[node.id]
            elif node.id in _functions(module):
                yield f"{module}.{node.id}"
        elif isinstance(node, ast.Attribute):
            owner = node.value
            if isinstance(owner, ast.Name) and owner.id in imports:
                yield f"{imports[owner.id]}.{node.attr}"
            if getattr(owner, "attr", getattr(owner, "id", "")) == "loaders":
                yield f"msvs.graphql.loaders.Loaders.{node.attr}"


@cache
def reached(module: str, name: str) -> frozenset[str]:
    """The operations that a function of a front calls, itself or through others of its front."""
    package = module.rpartition(".")[0]
    found: set[str] = set()
    seen = {(module, name)}
    waiting = [(module, name)]
    while waiting:
        place, function = waiting.pop()
        node = _functions(place).get(function)
        if node is None:
            continue
        for dotted in _named(place, node):
            if dotted.startswith("msvs.api."):
                found.add(".".join(dotted.split(".")[-2:]))
            elif dotted.startswith(f"{package}."):
                file, _, rest = dotted.removeprefix(f"{package}.").partition(".")
                step = (f"{package}.{file}", rest)
                if rest and step not in seen and (ROOT / f"{step[0].replace('.', '/')}.py").is_file():
                    seen.add(step)
                    waiting.append(step)
    return frozenset(found)


@cache
def rest() -> dict[str, set[str]]:
    """Operation → the routes that reach it."""
    found: dict[str, set[str]] = defaultdict(set)
    for endpoint in import_module("msvs.rest_compat.endpoints").ENDPOINTS:
        for step in filter(None, (endpoint.handler, endpoint.form_handler, endpoint.finish)):
            handler = inspect.unwrap(step)
            for operation in reached(handler.__module__, handler.__qualname__):
                found[operation].add(f"{endpoint.method} {endpoint.path}")
    return found


@cache
def graphql() -> dict[str, set[str]]:
    """Operation → the fields that reach it; a field of a root is named alone."""
    schema = import_module("msvs.graphql.schema").schema
    roots = {schema.query, schema.mutation, schema.subscription}
    found: dict[str, set[str]] = defaultdict(set)
    for definition in schema.schema_converter.type_map.values():
        kind = definition.definition
        for field in getattr(kind, "fields", ()):
            resolver = getattr(field, "base_resolver", None)
            if resolver is None:
                continue
            function = inspect.unwrap(resolver.wrapped_func)
            if not function.__module__.startswith("msvs.graphql."):
                continue
            name = schema.config.name_converter.from_field(field)
            label = name if kind.origin in roots else f"{schema.config.name_converter.from_type(kind)}.{name}"
            for operation in reached(function.__module__, function.__qualname__):
                found[operation].add(label)
    for load in import_module("msvs.graphql.nodes")._kinds.values():
        for operation in reached(load.__module__, load.__qualname__):
            found[operation].add("node")
    for operation, label in {**READ_BY_LOADER, **LISTED_BY_LOADER}.items():
        found[operation].add(label)
    return found


def gaps() -> tuple[dict[str, str], list[str]]:
    """The reasons that are needed, by `operation front`, and the gaps that have none."""
    routes, fields = rest(), graphql()
    needed: dict[str, str] = {}
    unexplained = []
    for operation in operations():
        if operation in PARTS:
            continue
        for front, found, reasons in (("REST", routes, NO_REST), ("GraphQL", fields, NO_GRAPHQL)):
            if found.get(operation):
                continue
            reason = reasons.get(operation)
            if reason is None and front == "REST" and operation.partition(".")[0] in FOR_PEOPLE:
                reason = PEOPLE
            if reason is None:
                unexplained.append(f"{operation} {front}")
            else:
                needed[f"{operation} {front}"] = reason
    return needed, unexplained


def page() -> str:
    """The whole page."""
    routes, fields = rest(), graphql()
    needed, _ = gaps()
    rows = []
    for operation in operations():
        if operation in PARTS:
            continue
        cells = [
            "<br>".join(f"`{label}`" for label in sorted(found[operation]))
            if found.get(operation)
            else f"– {needed.get(f'{operation} {front}', '?')}"
            for front, found in (("REST", routes), ("GraphQL", fields))
        ]
        rows.append(f"| `{operation}` | {cells[0]} | {cells[1]} |\n")
    parts = "".join(f"| `{name}` | {reason} |\n" for name, reason in PARTS.items() if name in operations())
    return (
        HEAD
        + "".join(rows)
        + "\nThese are parts of others, and nothing that a caller asks for by itself.\n\n"
        + "| Operation | Part of |\n|---|---|\n"
        + parts
    )


if __name__ == "__main__":
    PAGE.write_text(page())
