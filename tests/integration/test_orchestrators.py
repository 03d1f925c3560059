# SPDX-License-Identifier: MIT
"""The examples for containers and Kubernetes, as their runtimes would use them: runc, on the official image's layout."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest
import yaml
from kubernetes import client

from harness import process
from harness.container import bind
from harness.net import free_port
from harness.paths import HELPERS, HOLDFAST, PHP_FPM_PLAIN, ROOT
from harness.process import environment
from harness.tools import Load

pytestmark = pytest.mark.load

CONTAINER = ROOT / "examples/container"
CONTAINERFILE = (CONTAINER / "Containerfile").read_text()
COPYING = (CONTAINER / "Containerfile.copy").read_text()
MANIFEST = list(yaml.safe_load_all((ROOT / "examples/kubernetes/deployment.yaml").read_text()))
OFFICIAL = HELPERS / "official-image"
WWW = "/var/www/html"

SIMPLE = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": (str, int)}


# ---- the schema ----


def complaints(value, kind, path):
    """What the API would refuse: the types are those of its own description, as the client's models have them."""
    if kind.startswith("list["):
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [text for i, item in enumerate(value) for text in complaints(item, kind[5:-1], f"{path}[{i}]")]
    if kind.startswith("dict("):
        inner = kind[5:-1].partition(", ")[2]
        return [text for key, item in value.items() for text in complaints(item, inner, f"{path}.{key}")]
    if kind in SIMPLE:
        return [] if isinstance(value, SIMPLE[kind]) else [f"{path}: {value!r} is no {kind}"]
    model = getattr(client, kind)
    names = {name: attribute for attribute, name in model.attribute_map.items()}
    found = [f"{path}.{name} is unknown" for name in value if name not in names]
    known = {names[name]: item for name, item in value.items() if name in names}
    try:
        model(**known)
    except ValueError as problem:  # a required field is missing, or a value is none of those allowed
        found.append(f"{path}: {problem}")
    for attribute, item in known.items():
        found += complaints(item, model.openapi_types[attribute], f"{path}.{model.attribute_map[attribute]}")
    return found


def check(part):
    version = part["apiVersion"].rpartition("/")[2].capitalize()
    return complaints(part, f"{version}{part['kind']}", part["kind"])


@pytest.mark.parametrize("part", MANIFEST, ids=lambda part: part["kind"])
def test_the_manifest_fits_the_schema(part):
    assert not check(part)


def test_the_schema_refuses_what_is_wrong():
    assert check({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": "80", "portt": 1}]}})
    assert check({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}})


def document(kind):
    return next(document for document in MANIFEST if document["kind"] == kind)


def container_of(name):
    return next(container for container in SPEC["containers"] if container["name"] == name)


SPEC = document("Deployment")["spec"]["template"]["spec"]
PHP, NGINX = container_of("php"), container_of("nginx")


def test_the_grace_period_is_long_enough():
    seconds = [int(value) for word in PHP["args"]
               for value in re.findall(r"^--(?:stop-delay|drain-timeout)=(\d+)s$", word)]
    assert len(seconds) == 2 and sum(seconds) + 10 <= SPEC["terminationGracePeriodSeconds"]


# ---- run ----


def instruction(name, containerfile=CONTAINERFILE):
    return json.loads(re.search(rf"^{name} (\[.*\])$", containerfile, re.M).group(1))


@pytest.fixture
def image(make_site):
    """A site with what makes a container one of the official image: programs and settings. Its port is free here."""
    site = make_site()
    (site.root / "index.php").write_text("<?php echo 'index';")
    programs = site.directory / "programs"
    programs.mkdir()
    (programs / "holdfast").symlink_to(HOLDFAST)
    (programs / "php-fpm").symlink_to(PHP_FPM_PLAIN)
    settings = site.directory / "etc"
    shutil.copytree(OFFICIAL, settings)
    (settings / "php-fpm.d" / "zz-site.conf").touch()  # where the pod mounts its own
    listen = settings / "php-fpm.d" / "zz-docker.conf"
    listen.write_text(listen.read_text().replace("9000", site.address.rpartition(":")[2]))
    site.mounts = [bind(programs, "ro", to="/usr/local/bin"), bind(settings, "ro", to="/usr/local/etc"),
                   bind(settings / "php-fpm.conf", "ro", to="/etc/php/8.2/fpm/php-fpm.conf"),
                   bind(site.root, "ro", to=WWW)]
    return site


def test_the_containerfile_that_copies(tmp_path):
    """What the image takes out of the build is what a build like that installs, and needs no library that it does not name."""
    setup, = re.findall(r"^RUN (meson setup .*) \\\n", COPYING, re.M)
    words = [{"/build": str(tmp_path / "build"), "/src/holdfast-*": str(ROOT)}.get(word, word) for word in setup.split()]
    subprocess.run(words, env=environment(), check=True, capture_output=True)
    told = subprocess.run(["meson", "introspect", "--installed", tmp_path / "build"], env=environment(), check=True,
                          capture_output=True)
    assert re.findall(r"^COPY --from=build /out(\S+)", COPYING, re.M) == ["/usr/bin/holdfast"]
    assert "/usr/bin/holdfast" in json.loads(told.stdout).values()
    assert len(set(re.findall(r"^COPY --from=(?:build|holdfast) (?:/out)?(\S+)", COPYING, re.M))) == 1
    needed = subprocess.run(["readelf", "--dynamic", HOLDFAST], env=environment(), check=True, capture_output=True,
                            text=True).stdout
    libraries = {name for name in re.findall(r"\(NEEDED\).*\[(lib[a-z]+)", needed) if name not in ("libasan", "libubsan")}
    assert libraries - {"libc"} == set(re.findall(r"(lib[a-z]+)\d", re.search(r"holdfast loads .*", COPYING).group()))


@pytest.mark.parametrize("text", [CONTAINERFILE, COPYING], ids=["package", "copy"])
def test_the_containerfile(image, contain, text):
    container = contain(image, *instruction("ENTRYPOINT", text), *instruction("CMD", text), mounts=image.mounts,
                        read_only=False).start()
    health_check = [word.replace("127.0.0.1:9000", image.address) for word in instruction("HEALTHCHECK CMD", text)]
    assert container.execute(*health_check).returncode == 0
    load = image.load()
    assert container.execute("holdfast", "reload").returncode == 0
    load.assert_nothing_lost()
    slow = image.start_slow()
    number = re.search(r"^STOPSIGNAL (\w+)$", text, re.M).group(1)
    container.kill(getattr(signal, number))
    container.wait("draining")
    assert slow.finish()[0] == 200
    assert container.status() == 0


class Pod:
    """The Deployment's containers, in one network: this one."""

    def __init__(self, site, contain):
        self.site, self.contain = site, contain
        self.front = free_port()
        self.volumes = {volume["name"]: self.volume(volume) for volume in SPEC["volumes"]}
        self.php = self.container("php", [*instruction("ENTRYPOINT"), *PHP["args"]])
        self.nginx = self.container("nginx", NGINX["command"])

    def volume(self, volume):
        path = self.site.directory / "volumes" / volume["name"]
        path.mkdir(parents=True)
        if "configMap" in volume:
            for name, text in document("ConfigMap")["data"].items():
                (path / name).write_text(text.replace("8080", str(self.front)))
        else:
            os.chown(path, 0, SPEC["securityContext"]["fsGroup"])
            path.chmod(0o2777)
        return path

    def mounts(self, container):
        for mount in container["volumeMounts"]:
            source = self.volumes[mount["name"]] / mount.get("subPath", "")
            if mount["name"] == "tmp":
                source.mkdir(exist_ok=True)
                source.chmod(0o2777)
            yield bind(source, "rw", to=mount["mountPath"])

    def container(self, name, command):
        described = container_of(name)
        security = described["securityContext"]
        assert security["capabilities"]["drop"] == ["ALL"] and not security["allowPrivilegeEscalation"]
        return self.contain(
            self.site, *command, uid=security["runAsUser"], gid=security["runAsGroup"],
            groups=[SPEC["securityContext"]["fsGroup"]], read_only=security["readOnlyRootFilesystem"], capabilities=[],
            writable=(), env={entry["name"]: entry["value"] for entry in described.get("env", [])},
            mounts=[*self.site.mounts, *self.mounts(described)])

    def probe(self, kind):
        return self.php.execute(*PHP[kind]["exec"]["command"]).returncode


def test_the_pod(image, contain):
    pod = Pod(image, contain)
    pod.php.start()
    pod.nginx.launch()
    assert (pod.probe("readinessProbe"), pod.probe("livenessProbe")) == (0, 0)
    load = Load(f"http://127.0.0.1:{pod.front}")
    assert pod.php.execute("holdfast", "reload").returncode == 0
    # The pod is deleted: TERM to php, preStop in nginx; the load goes elsewhere before that is over.
    pod.php.kill(signal.SIGTERM)
    pod.php.wait("the service goes on for")
    load.assert_nothing_lost()
    assert pod.nginx.execute(*NGINX["lifecycle"]["preStop"]["exec"]["command"]).returncode == 0
    assert pod.nginx.stop(signal.SIGQUIT) == 0
    pod.php.kill(signal.SIGTERM)  # the rest of the delay is not waited for here
    assert pod.php.status() == 0
    print(f"{load.result['requests']} requests, 0 failed")


def test_the_pod_is_not_ready_while_php_fpm_is_not(image, contain):
    pod = Pod(image, contain)
    pod.php.start()
    master = next(pid for pid in process.children(pod.php.pid()) if "master" in process.command_line(pid))
    os.kill(master, signal.SIGSTOP)  # it would fork another for one that had not come to accept yet
    for pid in process.children(master):
        os.kill(pid, signal.SIGSTOP)
    assert pod.probe("readinessProbe") == 1
    assert pod.probe("livenessProbe") == 0
