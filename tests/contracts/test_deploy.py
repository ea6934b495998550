"""The files an operator starts from fit the program, and the database's role can do no more."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import psycopg
import pytest
import yaml

from tests.support.client import FakeClock, connect, emulator_with, list_sessions, make_record
from tests.support.databases import Postgres, engines
from verify_mcp import metrics
from verify_mcp.settings_table import setting_names

pytestmark = pytest.mark.anyio

DEPLOY = Path(__file__).parents[2] / "deploy"
OTHERS = ("PLIVO_", "VERIFY_MCP_")


OWNED = """
  SELECT 'schema', nspname::text FROM pg_namespace WHERE nspowner = current_user::regrole
  UNION SELECT 'database', datname::text FROM pg_database WHERE datdba = current_user::regrole
  UNION SELECT 'elsewhere', relname::text FROM pg_class
  WHERE relowner = current_user::regrole
    AND relnamespace NOT IN ('verify_mcp'::regnamespace, 'pg_toast'::regnamespace)
"""
"""What the role owns, its tables in its own schema aside."""


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return read


def cluster() -> dict[str, Any]:
    text = (DEPLOY / "kubernetes" / "verify-mcp.yaml").read_text(encoding="utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def test_every_setting_in_the_files_exists() -> None:
    named = set(compose()["services"]["replica-1"]["environment"])
    (container,) = cluster()["Deployment"]["spec"]["template"]["spec"]["containers"]
    named |= {each["name"] for each in container["env"]} | set(cluster()["ConfigMap"]["data"])
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")
    named |= set(re.findall(r"\b(?:PLIVO|VERIFY_MCP)_[A-Z_]+", dockerfile))
    assert {name for name in named if name.startswith(OTHERS)} <= set(setting_names())


def test_two_replicas_run_without_rights_they_do_not_need() -> None:
    services = compose()["services"]
    replicas = [services["replica-1"], services["replica-2"]]
    assert replicas[0] == replicas[1]
    assert replicas[0]["read_only"]
    assert replicas[0]["cap_drop"] == ["ALL"]
    assert "ports" not in replicas[0]
    assert "front" not in services["database"]["networks"]
    pod = cluster()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_refers_to_something_finds_it() -> None:
    read = compose()
    for service in read["services"].values():
        for each in service.get("volumes", ()):
            source = each.split(":")[0]
            assert source in read["volumes"] or (DEPLOY / source).exists(), each
        assert set(service.get("secrets", ())) <= set(read["secrets"])
        assert set(service.get("networks", ())) <= set(read["networks"])
        assert set(service.get("depends_on", ())) <= set(read["services"])
    balancer = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert set(re.findall(r"server (replica-\d):8000", balancer)) == {"replica-1", "replica-2"}
    labels = cluster()["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert cluster()["Service"]["spec"]["selector"] == labels


def test_r80_a_pod_reaches_names_the_database_and_https_and_nothing_inside_otherwise() -> None:
    policy = cluster()["NetworkPolicy"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 4318, 5432}
    assert all(rule.get("to") for rule in policy["egress"])
    (beyond,) = [to["ipBlock"] for rule in policy["egress"] for to in rule["to"] if "ipBlock" in to]
    # Metadata of the cloud and other pods are no part of the internet.
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(
        beyond["except"]
    )


def test_r80_the_clusters_password_is_a_file_and_its_address_has_none() -> None:
    data = cluster()["ConfigMap"]["data"]
    pod = cluster()["Deployment"]["spec"]["template"]["spec"]
    environment = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    file = Path(environment["VERIFY_MCP_DATABASE_PASSWORD_FILE"] or "").name
    (volume,) = [each for each in pod["volumes"] if "secret" in each]
    assert file in {each["path"] for each in volume["secret"]["items"]}
    assert urlsplit(data["VERIFY_MCP_DATABASE_URL"]).password is None


def test_r80_the_balancer_bounds_the_connections_of_one_address() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    zone = re.search(r"limit_conn_zone \$binary_remote_addr zone=(\w+):", text)
    assert zone is not None
    assert re.search(rf"limit_conn {zone[1]} \d+;", text)


def test_the_dashboard_asks_for_what_is_measured() -> None:
    told = json.loads((DEPLOY / "grafana" / "verify-mcp.json").read_text(encoding="utf-8"))
    asked = {
        re.sub(r"(_seconds)?(_total|_bucket|_sum|_count)?$", "", name)
        for panel in told["panels"]
        for target in panel["targets"]
        for name in re.findall(r"verify_mcp_\w+", target["expr"])
    }
    measured = {value.replace(".", "_") for name, value in vars(metrics).items()
                if name.isupper() and not name.startswith("_")}  # fmt: skip
    assert asked == measured


def test_r75_a_replica_holds_the_roles_password_and_not_the_superusers() -> None:
    read = compose()
    services, files = read["services"], read["secrets"]
    environment = services["database"]["environment"]
    superuser, role = (
        Path(environment[name]).name
        for name in ("POSTGRES_PASSWORD_FILE", "VERIFY_MCP_PASSWORD_FILE")
    )
    assert files[superuser] != files[role]
    assert {name for name, each in services.items() if superuser in each.get("secrets", ())} == {
        "database"
    }
    assert role in services["replica-1"]["secrets"]
    replica = services["replica-1"]["environment"]
    assert replica["VERIFY_MCP_DATABASE_PASSWORD_FILE"] == f"/run/secrets/{role}"
    assert urlsplit(replica["VERIFY_MCP_DATABASE_URL"]).username == "verify_mcp"
    first_lines = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert all(f"> secrets/{name}\n" in first_lines for name in files if "database" in name)


@pytest.mark.parametrize("engine", [each for each in engines() if each == "postgresql"])
async def test_the_documented_role_is_enough_and_no_more(
    engine: str, request: pytest.FixtureRequest
) -> None:
    postgres: Postgres = request.getfixturevalue("postgres")
    psql = shutil.which("psql") or str(postgres.programs / "psql")
    command = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "password=it's", postgres.url()]
    await anyio.run_process([*command, "-f", str(DEPLOY / "postgres.sql")])
    url = f"postgresql://verify_mcp@127.0.0.1:{urlsplit(postgres.url()).port}/verify_mcp"
    api = emulator_with(make_record(1, minutes=300), make_record(2, minutes=310))
    window = {"session_time__gte": "12h", "session_time__lt": "2h"}
    async with connect(api, clock=FakeClock(), database_url=url) as client:
        await client.call_tool("summarize_verify_sessions", window)
        assert (await list_sessions(client, **window))["api_requests"] == 0
    assert engine == "postgresql"
    for forbidden in (
        "CREATE ROLE other",
        "CREATE DATABASE other",
        "CREATE TABLE public.other (x INTEGER)",
        "CREATE SCHEMA other",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY verify_sessions TO PROGRAM 'cat'",
        "ALTER ROLE verify_mcp SUPERUSER",
    ):
        with (
            psycopg.connect(url, autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(forbidden.encode())
    with psycopg.connect(url) as connection:
        assert connection.execute(OWNED).fetchall() == [("schema", "verify_mcp")]


WORKFLOWS = DEPLOY.parent / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return read


def steps(name: str, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow(name)["jobs"][job]["steps"]
    return found


@pytest.mark.parametrize("file", sorted(each.name for each in WORKFLOWS.glob("*.yml")))
def test_r80_every_action_is_named_by_its_commit(file: str) -> None:
    used = [
        step["uses"]
        for job in workflow(file)["jobs"]
        for step in steps(file, job)
        if "uses" in step
    ]  # fmt: skip
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name)] == []


def test_r80_the_job_that_signs_installs_only_what_has_a_known_digest() -> None:
    assert workflow("release.yml")["jobs"]["build"]["permissions"]["attestations"] == "write"
    commands = "\n".join(step.get("run", "") for step in steps("release.yml", "build"))
    assert re.findall(r"pip install .*", commands) == [
        "pip install --quiet --require-hashes --only-binary=:all: \\"
    ]
    assert "python -m build --no-isolation" in commands
    listed_tools = (WORKFLOWS.parent / "release-tools.txt").read_text(encoding="utf-8")
    tools = [line for line in listed_tools.splitlines() if line and line[0] not in "# "]
    digests = re.findall(r"^    --hash=sha256:[0-9a-f]{64}$", listed_tools, re.MULTILINE)
    assert len(tools) == len(digests)
    assert {"build", "hatchling", "twine"} <= {tool.partition("==")[0] for tool in tools}


def test_r80_the_bundles_packer_and_all_it_needs_have_known_digests() -> None:
    folder = WORKFLOWS.parents[1] / "packaging" / "mcpb"
    build = (folder / "build").read_text()
    needed = json.loads((folder / "package.json").read_text())["devDependencies"]
    packages = [line.split() for line in (folder / "packages.txt").read_text().splitlines()]
    assert needed.items() <= {name: version for name, version, _ in packages}.items()
    assert len(packages) > len(needed)
    assert all(re.fullmatch(r"sha512-[\w+/]{86}==", digest) for _, _, digest in packages)
    assert not [*folder.glob("*lock*")]  # it would name a registry; any registry will do
    assert "found != known" in build
    assert "npm ci --ignore-scripts" in build
    assert "npx" not in build


def test_r80_the_registrys_publisher_is_one_version_whose_digest_is_checked_before_it_runs() -> (
    None
):
    job = workflow("release.yml")["jobs"]["registry"]
    assert re.search(r"/releases/download/v\d+\.\d+\.\d+/", job["env"]["PUBLISHER"])
    assert re.fullmatch(r"[0-9a-f]{64}", job["env"]["PUBLISHER_SHA256"])
    (command,) = [step["run"] for step in job["steps"] if "curl" in step.get("run", "")]
    download, check, unpack = command.strip().splitlines()
    assert "$PUBLISHER" in download
    assert "sha256sum --check --strict" in check
    assert unpack.startswith("tar ")


def test_the_image_is_pushed_for_two_systems_with_provenance_sbom_and_a_signed_digest() -> None:
    job = steps("release.yml", "image")
    (push,) = [step["with"] for step in job if "build-push-action" in step.get("uses", "")]
    assert push["platforms"] == "linux/amd64,linux/arm64"
    assert (push["provenance"], push["sbom"], push["push"]) == ("mode=max", True, True)
    assert 'cosign sign --yes "$IMAGE@$DIGEST"' in [step.get("run") for step in job]


def test_the_registry_is_told_of_an_image_and_a_bundle_that_are_released() -> None:
    jobs = workflow("release.yml")["jobs"]
    assert {"package-index", "image"} <= set(jobs["release"]["needs"])
    assert jobs["registry"]["needs"] == "release"
    commands = [step.get("run", "") for step in jobs["registry"]["steps"]]
    assert any("registry_entry.py server.json dist/" in command for command in commands)
