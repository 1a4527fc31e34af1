"""Lints what deploy/ holds and no test machine can run: the image, the Compose file and the Helm chart.

`make deploy` runs it in an environment of its own, from requirements-deploy.lock: hadolint, the Compose specification,
Helm's own engine, and the JSON schemas of Kubernetes. Each linter is first given a fault that it has to find.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import compose_spec
import helm_python
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
CHART = DEPLOY / "helm" / "massivesms"
HADOLINT = Path(sys.executable).with_name("hadolint")
# The oldest that the chart allows, and the newest with schemas.
KUBERNETES = ("1.27", kubernetes_validate.latest_version())
QUEUES = ("messages", "campaigns", "reports", "webhooks", "mail", "imports", "maintenance")
# A process ends within ten seconds of SIGTERM, and may need two more.
GRACE_SECONDS = 12
LEAST: Mapping[str, Any] = {
    "image": {"repository": "registry.example/massivesms"},
    "publicUrl": "https://sms.example.com",
}
SCALED = {"enabled": True, "minReplicas": 2, "maxReplicas": 9, "metric": "msvs_messages_overdue_seconds", "target": "5"}
MOST: Mapping[str, Any] = {
    **LEAST,
    "image": {"repository": "registry.example/massivesms", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "trustedProxies": ["10.0.0.0/8", "192.168.0.0/16"],
    "env": {"MSVS_SIGN_UP": "off"},
    "carriers": '[smsc]\nkind = "smpp"\npassword = { env = "SMSC_PASSWORD" }\n',
    "workers": {"messages": {"replicas": 2, "autoscaling": SCALED}, "billing": {"replicas": 2}},
    "sessions": {"enabled": True},
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls", "annotations": {"a": "b"}},
    "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {}}]},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
}
WRONG: Mapping[str, Mapping[str, Any]] = {
    "no image": {"publicUrl": "https://sms.example.com"},
    "a public URL without TLS": {**LEAST, "publicUrl": "http://sms.example.com"},
    "a queue that does not exist": {**LEAST, "workers": {"letters": {"replicas": 1}}},
    "a digest that is none": {**LEAST, "image": {"repository": "a", "digest": "sha256:1"}},
    "an ingress without a certificate": {**LEAST, "ingress": {"enabled": True}},
}

Manifest = dict[str, Any]


class CheckFailed(Exception):
    """Something in deploy/ is wrong, or a linter does not find what is."""


def main() -> int:
    """Run all checks; 1 if one fails."""
    failed = 0
    for check in (check_image, check_compose, check_chart):
        try:
            check()
        except CheckFailed as error:
            failed += 1
            print(f"{check.__name__}: {error}", file=sys.stderr)
        else:
            print(f"{check.__name__}: ok")
    return min(failed, 1)


def require(condition: bool, message: str) -> None:
    """Raise CheckFailed with a message unless a condition holds."""
    if not condition:
        raise CheckFailed(message)


def refuses(work: Callable[[], object], *errors: type[Exception]) -> bool:
    """Return whether a function raises one of the errors."""
    try:
        work()
    except errors:
        return True
    return False


# The image


def check_image() -> None:
    """Lint the Dockerfile, at the level of style. Raises CheckFailed."""
    with tempfile.TemporaryDirectory() as folder:
        planted = Path(folder) / "Dockerfile"
        planted.write_text("FROM python\nRUN cd /srv && apt-get install curl\n")
        require("DL3006" in hadolint(planted), "hadolint does not find a base image without a version")
    if said := hadolint(DOCKERFILE):
        raise CheckFailed(said)


def hadolint(path: Path) -> str:
    """Return what hadolint finds in a Dockerfile."""
    done = subprocess.run(
        [HADOLINT, "--no-color", "--failure-threshold", "style", path], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip()


# The Compose file


def check_compose() -> None:
    """Hold the Compose file against the Compose specification. Raises CheckFailed."""
    text = COMPOSE.read_text()
    require(refuses(lambda: read_compose(text + "\nservice: {}\n"), ValueError), "an unknown section is accepted")
    wrong = text.replace("stop_grace_period: 15s", "stop_grace_period: soon")
    require(refuses(lambda: read_compose(wrong), ValueError), "a wrong duration is accepted")
    try:
        read_compose(text)
    except ValueError as error:
        raise CheckFailed(str(error)) from None


def read_compose(text: str) -> None:
    """Read a Compose file by both readers of the specification. Raises ValueError."""
    # As Compose does before it reads: variables with their defaults, those without with a value.
    merged = yaml.safe_load(re.sub(r"\$\{\w+:(?:-([^}]*)|\?[^}]*)\}", lambda found: found[1] or "value", text))
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(merged)).validate()
    compose_spec.ComposeSpecification.model_validate(merged)


# The chart


def check_chart() -> None:
    """Lint the chart, render it by Helm's engine, and hold it against the schemas. Raises CheckFailed."""
    for what, values in WRONG.items():
        is_refused = lint(values) or refuses(lambda values=values: list(render(values)), helm_python.HelmError)
        require(bool(is_refused), f"{what} is accepted")
    planted = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 80}}
    require(refuses(lambda: validate(planted), CheckFailed), "the schemas accept a field that does not exist")
    for values in (LEAST, MOST):
        said = lint(values)
        require(not said, "; ".join(said))
        manifests = list(render(values))
        for manifest in manifests:
            validate(manifest)
            if manifest["kind"] in ("Deployment", "Job"):
                check_pod(manifest)
        check_whole(manifests, values)


def lint(values: Mapping[str, Any]) -> list[str]:
    """Return the warnings and errors that Helm has for the chart with these values."""
    report = helm_python.lint(CHART, values=dict(values), strict=True)
    return [each["error"] for each in report["messages"] if each["severity"] > 1] + report["errors"]


def render(values: Mapping[str, Any]) -> Iterator[Manifest]:
    """Return the manifests that Helm makes of the chart. Raises HelmError."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(values=dict(values), name="sms", namespace="sms", is_install=True)
    for name, text in rendered.items():
        if not name.endswith("NOTES.txt"):
            yield from filter(None, yaml.safe_load_all(text))


def validate(manifest: Manifest) -> None:
    """Raise CheckFailed where a manifest is not as Kubernetes' schemas have it."""
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            raise CheckFailed(f"{manifest['kind']} {manifest['metadata']['name']} ({version}): {error}") from None


def check_pod(manifest: Manifest) -> None:
    """Raise CheckFailed where a pod may do what it does not need, or is stopped too soon."""
    name, spec = manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    guard = container["securityContext"]
    component = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
    secrets = [each["secretRef"]["name"] for each in container["envFrom"]]
    needs_owner = component in ("migrate", "worker-maintenance")
    is_api = component == "api"
    for condition, what in (
        (spec["securityContext"]["runAsNonRoot"] is True, "may run as root"),
        (guard["readOnlyRootFilesystem"] is True, "may write to its root"),
        (guard["allowPrivilegeEscalation"] is False and guard["capabilities"] == {"drop": ["ALL"]}, "has capabilities"),
        (spec["automountServiceAccountToken"] is False, "has a token of Kubernetes"),
        (spec["terminationGracePeriodSeconds"] >= GRACE_SECONDS + 5 * is_api, "is killed before it has stopped"),
        ("massivesms-owner" in secrets if needs_owner else secrets == ["massivesms"], "has the wrong secrets"),
        ({"requests", "limits"} == container["resources"].keys(), "has no bounds"),
        (is_api == ("readinessProbe" in container), "has the wrong probes"),
    ):
        require(condition, f"{name} {what}")
    if is_api:
        paths = {probe: container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
        require(paths == {"livenessProbe": "/healthz", "readinessProbe": "/readyz"}, f"{name} has the wrong probes")


def check_whole(manifests: list[Manifest], values: Mapping[str, Any]) -> None:
    """Raise CheckFailed where a part is missing or too much."""
    kinds = ("Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Job", "ConfigMap", "Ingress")
    names = {kind: {each["metadata"]["name"] for each in manifests if each["kind"] == kind} for kind in kinds}
    parts = {"api", "cron", *(f"worker-{queue}" for queue in QUEUES)}
    budgets, scaled = {"api", "worker-messages"}, set()
    if values is MOST:
        parts |= {"sessions", "worker-billing"}
        budgets |= {"sessions", "worker-billing"}
        scaled = {"worker-messages"}
    for kind, wanted in (("Deployment", parts), ("PodDisruptionBudget", budgets), ("HorizontalPodAutoscaler", scaled)):
        found = {name.removeprefix("sms-massivesms-") for name in names[kind]}
        require(found == wanted, f"{kind}: {sorted(found ^ wanted)}")
    require(len(names["Job"]) == 1, "there is not one job of migrations")
    require(bool(names["ConfigMap"]) == bool(names["Ingress"]) == (values is MOST), "what is off is made")
    for each in manifests:
        # An autoscaler and a fixed number of replicas would pull in two directions.
        if each["kind"] == "Deployment":
            is_scaled = each["metadata"]["name"].removeprefix("sms-massivesms-") in scaled
            require(is_scaled == ("replicas" not in each["spec"]), f"{each['metadata']['name']} is scaled twice")


if __name__ == "__main__":
    sys.exit(main())
