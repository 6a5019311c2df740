"""Runs the pods of StatefulSets and Deployments on this machine as a kubelet would: command, environment, volumes, user, read-only root and probes
are those of the manifests; each pod has network, mounts, processes and host name of its own, and another address at each start.
"""

import base64
import http.client
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREFIX = "198.18.79"
BRIDGE = f"{PREFIX}.254"


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.DEVNULL)


class Cluster:
    """The network, the names, and what the manifests declare."""

    def __init__(self, folder, documents, secrets, names, programs, environment):
        self.folder, self.names = Path(folder), names
        self.programs, self.environment = programs, environment
        self._secrets = secrets
        self._documents = {(d["kind"], d["metadata"]["name"]): d for d in documents if d}
        self._addresses = 0

    def document(self, kind, name):
        return self._documents[kind, name]

    def secret(self, name, key):
        return self._secrets[name][key]

    def keys_of_secret(self, name):
        return self._secrets[name]

    def next_address(self):
        self._addresses += 1
        assert self._addresses < 250, "no address is left"
        return f"{PREFIX}.{self._addresses}"

    def pods(self, kind, name):
        document = self.document(kind, name)
        return [Pod(self, document, number) for number in range(document["spec"]["replicas"])]


class Pod:
    def __init__(self, cluster, document, number):
        self._cluster, self._document, self._number = cluster, document, number
        self._set = document["spec"]
        self._spec = document["spec"]["template"]["spec"]
        self._container = self._spec["containers"][0]
        self._user = self._spec["securityContext"]["runAsUser"]
        self.namespace = document["metadata"]["namespace"]
        self.name = f"{document['metadata']['name']}-{number}"
        # Pods of a Deployment have no name that others know.
        service = self._set.get("serviceName")
        self.host = f"{self.name}.{service}.{self.namespace}.svc.cluster.local" if service else None
        self.folder = cluster.folder / self.name
        self.log = self.folder / "log"
        self.address = None
        self._process = self._first = None
        self.folder.mkdir(parents=True)
        # A hook writes to it, too, as the user of the container.
        self.log.touch()
        os.chown(self.log, self._user, self._user)

    def successor(self):
        """The pod that a Deployment puts in its place."""
        return Pod(self._cluster, self._document, self._number + self._set["replicas"])

    @property
    def min_ready_seconds(self):
        return self._set.get("minReadySeconds", 0)

    @property
    def grace(self):
        return self._spec["terminationGracePeriodSeconds"]

    @property
    def _ports(self):
        return {port["name"]: port["containerPort"] for port in self._container["ports"]}

    def start(self):
        """Gives the pod a network with another address than before, runs its init containers, and starts it."""
        self.address = self._cluster.next_address()
        line = f"pod{self.address.rsplit('.', 1)[1]}"
        ip("netns", "add", self.name)
        ip("link", "add", line, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", line, "master", "hub", "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "set", "eth0", "up")
        volumes = self._volumes()
        if self.host:
            self._cluster.names.publish(self.host, self.address)
        for container in self._spec.get("initContainers", []):
            process = self._run(container, volumes)
            if process.wait(30) != 0:
                raise RuntimeError(f"{self.name}: {container['name']}: see {self.log}")
        self._process = self._run(self._container, volumes)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        deadline = time.monotonic() + 10
        while not (found := children.read_text().split()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start: see {self.log}")
            time.sleep(0.01)
        self._first = int(found[0])

    def stop(self):
        """preStop, SIGTERM, and SIGKILL once the grace is over; then the address and the name are gone. What was told of it."""
        began, told = time.monotonic(), []
        hook = self._container.get("lifecycle", {}).get("preStop")
        if hook:
            result = self.execute(hook["exec"]["command"], self.grace)
            told.append(f"preStop {time.monotonic() - began:.2f} s")
            if result != 0:
                told.append(f"preStop failed with {result}")
        began = time.monotonic()
        os.kill(self._first, signal.SIGTERM)
        try:
            self._process.wait(self.grace)
        except subprocess.TimeoutExpired:
            told.append("KILLED: it did not end")
            self._process.kill()
            self._process.wait()
        told.append(f"SIGTERM to its end {time.monotonic() - began:.2f} s")
        self._vanish()
        return ", ".join(told)

    def kill(self):
        """It ends as with its machine: without a word, and its address with it."""
        os.kill(self._first, signal.SIGKILL)
        self._process.wait()
        self._vanish()

    def _vanish(self):
        if self.host:
            self._cluster.names.withdraw(self.host)
        ip("netns", "del", self.name)
        self.address = self._process = self._first = None

    def is_alive(self):
        return self._process is not None and self._process.poll() is None

    def is_ready(self):
        if not self.is_alive():
            return False
        probe = self._container["readinessProbe"]
        if "httpGet" in probe:
            return self.get(probe["httpGet"]["port"], probe["httpGet"]["path"]) == 200
        return self.execute(probe["exec"]["command"], probe.get("timeoutSeconds", 1)) == 0

    def get(self, port, path):
        """The status of an answer of one of its ports, or None."""
        connection = http.client.HTTPConnection(self.address, self._ports[port], timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def execute(self, command, patience):
        """The exit status of a command in the running container, or None."""
        words = ["nsenter", "--target", str(self._first), "--mount", "--uts", "--pid", "--net", "--root", "--wd"]
        words += ["--setuid", str(self._user), "--setgid", str(self._user), "--", *command]
        with self.log.open("a") as log:
            try:
                done = subprocess.run(
                    words, env=self._environment(self._container), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    timeout=patience,
                )
            except subprocess.TimeoutExpired:
                return None
        return done.returncode

    def _run(self, container, volumes):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        environment = self._environment(container)
        # Only one program at a time lays its file system.
        root = self.folder / "root"
        root.mkdir(exist_ok=True)
        mounts = self.folder / "mounts"
        mounts.write_text("".join(f"{line}\n" for line in [
            f"{self._cluster.programs} /usr rw",
            "/dev /dev rw",
            *(f"/etc/{name} /etc/{name} ro" for name in ("passwd", "group", "nsswitch.conf", "resolv.conf", "ld.so.cache")),
            *(
                f"{volumes[mount['name']]} {mount['mountPath']} {'ro' if mount.get('readOnly') else 'rw'}"
                for mount in container.get("volumeMounts", [])
            ),
        ]))
        words = [*container["command"], *container.get("args", [])]
        words = [expand(word, environment) for word in words]
        with self.log.open("a") as log:
            return subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child",
                 "--", str(HERE / "enter"), str(root), self.name, str(self._user), str(mounts), *words],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def _environment(self, container):
        values = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        about = {"metadata.name": self.name, "metadata.namespace": self.namespace}
        for entry in container.get("env", []):
            if "value" in entry:
                values[entry["name"]] = expand(entry["value"], values)
            elif "fieldRef" in entry["valueFrom"]:
                values[entry["name"]] = about[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            else:
                key = entry["valueFrom"]["secretKeyRef"]
                values[entry["name"]] = self._cluster.secret(key["name"], key["key"])
        return values | {name: value for name, value in self._cluster.environment.items() if name in values}

    def _volumes(self):
        """Claims stay, all else is laid anew."""
        fresh = self.folder / "volumes"
        shutil.rmtree(fresh, ignore_errors=True)
        paths = {}
        for claim in self._set.get("volumeClaimTemplates", []):
            paths[claim["metadata"]["name"]] = self.folder / "claims" / claim["metadata"]["name"]
        for volume in self._spec.get("volumes", []):
            path = paths[volume["name"]] = fresh / volume["name"]
            path.mkdir(parents=True)
            files = {}
            if "configMap" in volume:
                files = self._cluster.document("ConfigMap", volume["configMap"]["name"])["data"]
            elif "secret" in volume:
                files = self._cluster.keys_of_secret(volume["secret"]["secretName"])
                wanted = volume["secret"].get("items")
                files = {item["path"]: files[item["key"]] for item in wanted} if wanted else files
            for name, text in files.items():
                (path / name).write_text(text)
                (path / name).chmod(0o440 if "secret" in volume else 0o644)
                os.chown(path / name, 0, self._user)
        for name, path in paths.items():
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, 0, self._user)
            path.chmod(0o2770)
        return paths


def expand(text, values):
    return re.sub(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)", lambda found: values.get(found[1], found[0]), text)


def secret_values(secret):
    """The keys and texts of a Secret's document."""
    encoded = {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}
    return encoded | secret.get("stringData", {})
