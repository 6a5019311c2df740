"""Checks what the chart renders. It is run by scripts/test-kubernetes.

usage: check.py BINARY HELM... -- each set of values in tests/kubernetes/values with each Helm, and what must be refused
"""

import copy
import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
CHART = HERE.parent.parent / "packaging/chart"
VERSIONS = ["1.25", "1.29", "1.33", "1.37"]
# No schema of it is in any package: checked by hand below.
WITHOUT_SCHEMA = {"ServiceMonitor"}

# What must not render, and a word of the reason.
REFUSED = {
    "a misspelt value": ("{sentinal: {replicas: 3}}", "sentinal"),
    "a misspelt value of a part": ("{redis: {enable: false}}", "enable"),
    "two Sentinels": ("{sentinel: {replicas: 2}}", "sentinel.replicas|/sentinel/replicas"),
    "no data nodes and no host": ("{redis: {enabled: false}}", "mymaster needs a host"),
    "TLS without certificates": ("{tls: {enabled: true}}", "tls.existingSecret"),
    "two sources of passwords": ("{auth: {existingSecret: a, redisPassword: b}}", "either existingSecret or passwords"),
    "a token without a Secret": ("{http: {tokenKey: a}}", "http.tokenKey"),
    "a proxy of nobody": ("{proxy: {master: nobody}}", "nobody is none of the masters"),
}

outcome = {"passed": 0, "failed": 0}
not_run = []


def check(what, fine, detail=""):
    outcome["passed" if fine else "failed"] += 1
    if not fine:
        print(f"FAILED: {what}: {detail}")


def skip(what):
    if what not in not_run:
        print(f"NOT RUN: {what}")
        not_run.append(what)


def render(helm, values):
    words = [helm, "template", "sentinel", str(CHART), "--namespace", "redis"]
    for file in values:
        words += ["--values", str(file)]
    return subprocess.run(words, capture_output=True, text=True)


def errors_of(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(str(part) for part in error.path)}: {error.message}"
    except Exception as error:  # noqa: BLE001 no schema, for example
        return repr(error)
    return None


def pods_of(documents):
    """Kind and name of what has pods, its metadata and its spec."""
    for document in documents:
        if document["kind"] in ("StatefulSet", "Deployment"):
            template = document["spec"]["template"]
            yield f"{document['kind']} {document['metadata']['name']}", template["metadata"]["labels"], template["spec"]


def check_whole(name, documents):
    """What no schema says: that the documents fit together."""
    keys = [(d["kind"], d["metadata"]["name"]) for d in documents]
    check(f"{name}: no document twice", len(keys) == len(set(keys)), keys)
    pods = list(pods_of(documents))
    for document in documents:
        kind, title, spec = document["kind"], f"{document['kind']} {document['metadata']['name']}", document.get("spec", {})
        if kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            selector = spec.get("selector") or spec.get("podSelector")
            selector = selector.get("matchLabels", selector)
            chosen = [pod for pod in pods if selector.items() <= pod[1].items()]
            check(f"{name}: {title} selects the pods of one workload", len(chosen) == 1, [pod[0] for pod in chosen])
            if not chosen:
                continue
            named = {port["name"] for container in chosen[0][2]["containers"] for port in container["ports"]}
            wanted = {port["targetPort"] for port in spec.get("ports", [])}
            wanted |= {port["port"] for rule in spec.get("ingress", []) for port in rule["ports"]}
            check(f"{name}: {title}: ports are the pods'", wanted <= named, wanted - named)
        if kind in ("StatefulSet", "Deployment"):
            labels = spec["template"]["metadata"]["labels"]
            check(f"{name}: {title} selects its pods", spec["selector"]["matchLabels"].items() <= labels.items())
        if kind == "StatefulSet":
            check(f"{name}: {title}: its Service exists", ("Service", spec["serviceName"]) in keys, spec["serviceName"])
            check(f"{name}: {title}: in parallel", spec["podManagementPolicy"] == "Parallel")
        if kind == "Service" and spec.get("clusterIP") == "None":
            check(f"{name}: {title} publishes those that are not ready", spec["publishNotReadyAddresses"] is True)
        if kind == "ServiceMonitor":
            check_monitor(name, title, spec, documents)


def check_monitor(name, title, spec, documents):
    labels = spec["selector"].get("matchLabels", {})
    rules = spec["selector"].get("matchExpressions", [])

    def chosen(document):
        has = document["metadata"]["labels"]
        return document["kind"] == "Service" and labels.items() <= has.items() and all(
            rule["operator"] == "In" and has.get(rule["key"]) in rule["values"] for rule in rules
        )

    services = [document for document in documents if chosen(document)]
    check(f"{name}: {title} selects a Service", bool(services))
    for service in services:
        ports = {port["name"] for port in service["spec"]["ports"]}
        for endpoint in spec["endpoints"]:
            check(f"{name}: {title}: its port", endpoint["port"] in ports, endpoint["port"])
    # One that is selected by two Services is scraped twice.
    selectors = [json.dumps(service["spec"]["selector"], sort_keys=True) for service in services]
    check(f"{name}: {title} selects no pod twice", len(selectors) == len(set(selectors)), selectors)


def check_security(name, documents):
    """The profile `restricted` of Kubernetes, and a read-only root."""
    for title, _, spec in pods_of(documents):
        pod = spec["securityContext"]
        check(f"{name}: {title} does not run as root", pod["runAsNonRoot"] is True and pod["runAsUser"] > 0)
        check(f"{name}: {title}: seccomp", pod["seccompProfile"]["type"] == "RuntimeDefault")
        check(f"{name}: {title}: no token of the API", spec["automountServiceAccountToken"] is False)
        # A Service named sentinel would set SENTINEL_PORT, among others.
        check(f"{name}: {title}: no variables of Services", spec["enableServiceLinks"] is False)
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        kinds = {kind for volume in volumes.values() for kind in volume if kind != "name"}
        check(f"{name}: {title}: volumes", kinds <= {"configMap", "secret", "emptyDir"}, kinds)
        owner = next(d for d in documents if f"{d['kind']} {d['metadata']['name']}" == title)
        claims = {claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])}
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            what = f"{name}: {title}: {container['name']}"
            check(f"{what}: no more privileges", security["allowPrivilegeEscalation"] is False)
            check(f"{what}: read-only root", security["readOnlyRootFilesystem"] is True)
            check(f"{what}: no capabilities", security["capabilities"] == {"drop": ["ALL"]})
            check(f"{what}: resources", "requests" in container["resources"] and "limits" in container["resources"])
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            check(f"{what}: its volumes exist", mounted <= volumes.keys() | claims, mounted)
            for probe in (value for key, value in container.items() if key.endswith("Probe")):
                if "httpGet" in probe:
                    named = {port["name"] for port in container["ports"]}
                    check(f"{what}: the port of its probe", probe["httpGet"]["port"] in named)


class Binary:
    """The program, asked what it knows."""

    def __init__(self, path):
        self.path, self._options = path, {}

    def options(self, command):
        """The long options of a command; None where there is no such command."""
        if command not in self._options:
            done = subprocess.run([self.path, command, "--help"], capture_output=True, text=True)
            known = done.returncode == 0 and "Usage:" in done.stdout
            self._options[command] = set(re.findall(r"--[a-z][a-z-]*", done.stdout)) if known else None
        return self._options[command]

    def check_line(self, what, words):
        """A command line, by its first word and its options."""
        options = self.options(words[0])
        if options is None and words[0] == "proxy":
            skip("the command line of `sentinel proxy`: this binary does not know the command yet")
            return
        check(f"{what}: `sentinel {words[0]}` is a command", options is not None)
        used = {word.split("=")[0] for word in words[1:] if word.startswith("--")}
        if options is not None:
            check(f"{what}: options of `sentinel {words[0]}`", used <= options, used - options)


def check_commands(name, documents, binary):
    for title, _, spec in pods_of(documents):
        for container in spec["containers"] + spec.get("initContainers", []):
            what = f"{name}: {title}: {container['name']}"
            command = container["command"]
            if command == ["/usr/bin/sentinel"] and not container["args"][0].startswith("/"):
                binary.check_line(what, container["args"])
    for document in documents:
        if document["kind"] != "ConfigMap":
            continue
        for file, text in document["data"].items():
            if not file.endswith(".sh"):
                continue
            # Options that are set for all lines of a script.
            common = re.findall(r"^\s*set -- (.*)$", text, re.MULTILINE)
            common = [word for line in common for word in line.split() if word.startswith("--") and word != "--"]
            lines = re.findall(r'"\$SENTINEL" (.*)$', text, re.MULTILINE)
            check(f"{name}: {file} uses the program", bool(lines))
            for line in lines:
                words = [word.strip('"') for word in line.split(";")[0].split("2>")[0].split()]
                # probe.sh asks one of two things.
                asked = re.findall(r"^\s*question=(\S+)", text, re.MULTILINE) if words[0] == "$question" else words[:1]
                for command in asked:
                    binary.check_line(f"{name}: {file}", [command, *words[1:]] + common)
    for title, _, spec in pods_of(documents):
        for container in spec["containers"]:
            hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
            if "stop.sh" in " ".join(hook):
                grace = spec["terminationGracePeriodSeconds"]
                seconds = next(int(e["value"]) for e in container["env"] if e["name"] == "SWITCHOVER_SECONDS")
                check(f"{name}: {title}: the grace is longer than the handover", grace >= seconds + 30, (grace, seconds))


def check_configuration(name, documents, binary):
    """`sentinel check` of the configuration in the ConfigMap, with the lines that the command line adds. Its folders are replaced by
    ones that are here, and names by an address: there is no cluster."""
    config = next(d["data"]["sentinel.conf"] for d in documents if d["kind"] == "ConfigMap" and "sentinel.conf" in d["data"])
    title, _, spec = next(pod for pod in pods_of(documents) if pod[2]["containers"][0]["name"] == "sentinel")
    args = spec["containers"][0]["args"]
    check(f"{name}: the configuration is where it is mounted", args[0] == "/etc/sentinel/sentinel.conf", args)
    added = " ".join(args[1:]).lstrip("-")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        for volume, path in mounts.items():
            (folder / volume).mkdir(mode=0o700)
            config = config.replace(path + "/", f"{folder / volume}/").replace(f"dir {path}", f"dir {folder / volume}")
        for key in re.findall(rf"{folder}/passwords/(\S+)", config):
            (folder / "passwords" / key).write_text("secret")
            (folder / "passwords" / key).chmod(0o600)
        if "tls" in mounts:
            subprocess.run([HERE / "certificates", folder / "tls"], check=True)
        check(f"{name}: every file of the configuration is on a volume", not re.search(r" /(?!tmp|var/tmp|dev/shm)", config), config)
        config = re.sub(r"[a-z0-9.-]+\.svc\.cluster\.local", "192.0.2.1", config) + f"\n{added}\n"
        file = folder / "sentinel.conf"
        file.write_text(re.sub(r"\$\(POD_[A-Z]+\)\.\S+", "192.0.2.9", config))
        done = subprocess.run([binary.path, "check", str(file)], capture_output=True, text=True)
        check(f"{name}: sentinel check", done.returncode == 0, done.stdout + done.stderr)
        # A configuration with a fault is refused by the same call.
        file.write_text(file.read_text() + "sentinel quorun mymaster 2\n")
        done = subprocess.run([binary.path, "check", str(file)], capture_output=True, text=True)
        check(f"{name}: sentinel check finds a fault", done.returncode == 1)


def check_probes(documents, binary):
    """Each path that a probe asks for is served."""
    paths = {"sentinel": set(), "proxy": set()}
    for _, _, spec in pods_of(documents):
        for container in spec["containers"]:
            paths.setdefault(container["name"], set()).update(
                value["httpGet"]["path"] for key, value in container.items() if key.endswith("Probe") and "httpGet" in value
            )
    check("probes of the Sentinels", paths["sentinel"] == {"/livez", "/readyz"}, paths)
    check("probes of the proxy", paths["proxy"] == {"/livez", "/readyz"}, paths)
    check("a Sentinel serves the paths of its probes", *serves(binary, ["CONFIG"], paths["sentinel"] | {"/metrics"}))
    if binary.options("proxy") is None:
        skip("the probes of the proxy: this binary does not know `sentinel proxy` yet")
        return
    check("a proxy serves the paths of its probes", *serves(
        binary, ["proxy", "mymaster", "--listen", "127.0.0.1:0", "-s", "127.0.0.1:1", "--metrics"], paths["proxy"] | {"/metrics"}
    ))


def serves(binary, words, paths):
    """Whether each path is known to the program that is started on a free port. A proxy that has no master may say 503."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sentinel.conf"
        file.write_text(f"port 0\nunixsocket {folder}/socket\nhttp-listen 127.0.0.1:{port}\n")
        daemon = words == ["CONFIG"]
        words = [str(file)] if daemon else [*words, f"127.0.0.1:{port}"]
        process = subprocess.Popen([binary.path, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder)
        try:
            told = {}
            for path in sorted(paths):
                deadline = time.monotonic() + 10
                while path not in told and time.monotonic() < deadline:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                    try:
                        connection.request("GET", path)
                        told[path] = connection.getresponse().status
                    except OSError:
                        time.sleep(0.1)
                    finally:
                        connection.close()
            fine = all(told.get(path) == 200 or not daemon and path == "/readyz" and told.get(path) == 503 for path in paths)
            return fine, told
        finally:
            process.terminate()
            process.wait(10)


def main():
    binary, helms = Binary(sys.argv[1]), sys.argv[2:]
    sets = {"default": []} | {path.stem: [path] for path in sorted((HERE / "values").glob("*.yaml"))}
    documents = []
    for name, values in sets.items():
        texts = []
        for helm in helms:
            done = render(helm, values)
            check(f"{name}: renders with {Path(helm).name}", done.returncode == 0, done.stderr)
            texts.append(done.stdout)
        check(f"{name}: every Helm renders the same", len(set(texts)) == 1)
        documents = [document for document in yaml.safe_load_all(texts[0]) if document]
        for version in VERSIONS:
            for document in documents:
                title = f"{document['kind']} {document['metadata']['name']}"
                if document["kind"] in WITHOUT_SCHEMA:
                    continue
                error = errors_of(document, version)
                check(f"{name}: {title}: schema of Kubernetes {version}", error is None, error)
        check_whole(name, documents)
        check_security(name, documents)
        check_commands(name, documents, binary)
        check_configuration(name, documents, binary)
        print(f"ok: {name}: {len(documents)} documents")

    with tempfile.TemporaryDirectory() as folder:
        for what, (text, reason) in REFUSED.items():
            file = Path(folder) / "values.yaml"
            file.write_text(text)
            for helm in helms:
                done = render(helm, [file])
                fine = done.returncode != 0 and re.search(reason, done.stderr) is not None
                check(f"{what} is refused by {Path(helm).name}", fine, done.stderr)
        print(f"ok: {len(REFUSED)} mistakes are refused")

    default = [document for document in yaml.safe_load_all(render(helms[0], []).stdout) if document]
    # A check that cannot fail is none.
    broken = copy.deepcopy(next(document for document in default if document["kind"] == "StatefulSet"))
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    for version in VERSIONS:
        check(f"a misspelt field is found by the schema of {version}", errors_of(broken, version) is not None)
    check_probes(default, binary)
    print("ok: probes")
    print(f"{outcome['passed']} passed, {outcome['failed']} failed" + (f", {len(not_run)} skipped" if not_run else ""))
    return 1 if outcome["failed"] else 3 if not_run else 0


if __name__ == "__main__":
    sys.exit(main())
