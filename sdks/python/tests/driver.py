"""Makes the calls that the conformance run asks for, one a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "src", HERE.parents[2]):
    sys.path.insert(0, str(folder))

import vectors  # noqa: E402

from massivesms import MassiveSMS, MassiveSMSError, Page  # noqa: E402


def answer(client: MassiveSMS, asked: dict[str, Any]) -> dict[str, Any]:
    """Make a call and tell what came of it."""
    try:
        result = vectors.call(client, asked["operation_id"], asked["args"], options=asked["options"])
        if asked["all"]:
            return {"ids": [each.id for each in result]}
    except MassiveSMSError as error:
        told = {"name": type(error).__name__, "idempotency_key": error.idempotency_key, "tries": error.tries}
        names = ("status", "code", "request_id")
        return {"error": told | {name: getattr(error, name, None) for name in names}}
    response = result.response
    body = json.loads(response.body) if isinstance(result, Page) else result.to_dict()
    told = {"request_id": response.request_id, "tries": response.tries, "idempotency_key": response.idempotency_key}
    return {"result": body} | told


if __name__ == "__main__":
    with MassiveSMS() as the_client:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(answer(the_client, json.loads(line))) + "\n")
            sys.stdout.flush()
