"""Builds the packages of Python and Node and installs them into an empty project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SDKS = Path(__file__).resolve().parents[1]
CHECK_MJS = """\
import def, { MassiveSMS, webhooks } from "@massivesms/node";
import { constructEvent } from "@massivesms/node/webhooks";
import { fakeFetch } from "@massivesms/node/testing";
if (def !== MassiveSMS || constructEvent !== webhooks.constructEvent || !fakeFetch) throw new Error("ESM");
"""
CHECK_CJS = """\
const { MassiveSMS, webhooks } = require("@massivesms/node");
const { constructEvent } = require("@massivesms/node/webhooks");
if (typeof MassiveSMS !== "function" || constructEvent !== webhooks.constructEvent) throw new Error("CJS");
"""
CHECK_TS = """\
import { type Event, isKnown, MassiveSMS, type Message, webhooks } from "@massivesms/node";
import { fakeFetch } from "@massivesms/node/testing";
import { constructEvent, type Header } from "@massivesms/node/webhooks";

export const header: Header = ["t=1,v1=a"];
export const paths = [fakeFetch, constructEvent];

export async function send(client: MassiveSMS): Promise<Message> {
  const message = await client.messages.create({ to: "+14155550123", body: "Hi", from: null, scheduled_at: "" });
  const id: string | null = message.lastResponse.requestId;
  if (message.status === "queued" || message.status === "a value to come" || id === null) return message;
  // @ts-expect-error: `to` is required.
  await client.messages.create({ body: "Hi" });
  // @ts-expect-error: there is no such parameter.
  await client.messages.create({ to: "+14155550123", body: "Hi", moon: 1 });
  for await (const each of client.contacts.list({ limit: 2 })) if (each.first_name === null) return message;
  return message;
}

export async function receive(body: string, header: string): Promise<string> {
  const event: Event = await webhooks.constructEvent(body, header, "whsec_a");
  if (isKnown(event) && event.type === "message.failed") return event.data.to;
  return event.type;
}
"""

# In the folder of an empty project: the command that runs an example, and what its environment has more.
Installed = tuple[tuple[str, ...], dict[str, str]]


def python(project: Path) -> Installed:
    """Build a wheel and install it where nothing else of this repository is."""
    target = project / "site"
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    source = project / "source"
    shutil.copytree(
        SDKS / "python", source, ignore=shutil.ignore_patterns("tests", "build", "*.egg-info", "__pycache__")
    )
    _run((*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(project), str(source)), project)
    (wheel,) = project.glob("massivesms-*.whl")
    _run((*pip, "install", "--no-deps", "--target", str(target), str(wheel)), project)
    shutil.rmtree(source)
    environment = {"PYTHONPATH": str(target)}
    script = f"import massivesms; assert massivesms.__file__.startswith({str(target)!r})"
    _run((sys.executable, "-c", script), project, environment)
    assert (target / "massivesms" / "py.typed").exists()
    return (sys.executable,), environment


def node(project: Path) -> Installed:
    """Pack and install, and look at the package as ESM, as CJS and from TypeScript."""
    told = subprocess.run(
        ("npm", "pack", "--json", "--pack-destination", str(project)),
        cwd=SDKS / "node",
        check=True,
        capture_output=True,
        text=True,
    )
    packed = json.loads(told.stdout)[0]
    (project / "package.json").write_text('{ "name": "empty", "private": true, "type": "module" }\n')
    _run(("npm", "install", "--no-audit", "--no-fund", "--silent", "--offline", f"./{packed['filename']}"), project)
    assert [path.name for path in (project / "node_modules").iterdir() if not path.name.startswith(".")] == [
        "@massivesms"
    ]
    for name, text in (("check.mjs", CHECK_MJS), ("check.cjs", CHECK_CJS), ("check.ts", CHECK_TS)):
        (project / name).write_text(text)
    _run(("node", "check.mjs"), project)
    _run(("node", "check.cjs"), project)
    tsc = SDKS / "node" / "node_modules" / "typescript" / "bin" / "tsc"
    for more in (
        ("--module", "NodeNext"),
        ("--module", "ESNext", "--moduleResolution", "Bundler"),
        ("--module", "CommonJS", "--moduleResolution", "Node10"),
        # Neither a browser's types nor Node's.
        ("--module", "NodeNext", "--lib", "ES2022"),
        ("--module", "NodeNext", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"),
    ):
        _run(("node", str(tsc), "--noEmit", "--strict", "--target", "ES2022", *more, "check.ts"), project)
    return ("node",), {}


def _run(command: tuple[str, ...], folder: Path, more: dict[str, str] | None = None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | (more or {})
    subprocess.run(command, cwd=folder, env=environment, check=True)
