# SPDX-License-Identifier: MIT
"""examples/deploy: each tool deploys a good release under load, and one whose canary fails."""
import os
import subprocess

import pytest
import yaml

from harness import frontends, process, scripts
from harness.paths import HOLDFAST, ROOT
from harness.process import environment
from harness.versions import went_back
from harness.wait import DEADLINE

pytestmark = pytest.mark.load

EXAMPLES = ROOT / "examples" / "deploy"


class FrontEnd(frontends.Nginx):
    def site(self, root, backend, marks):
        return adapted("nginx.conf", {"listen 80;": f"listen 127.0.0.1:{self.port};", "/srv/www": root, "127.0.0.1:9000": backend})


def adapted(example, words):
    text = (EXAMPLES / example).read_text()
    for old, new in words.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


class World:
    """A server with one release in service, a repository, and a PATH on which the programs are those of this tree."""

    def __init__(self, site):
        self.site = site
        self.base = site.directory / "srv"
        self.repository = site.directory / "repository"
        self.repository.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("1")
        self.make_release("1")
        for link in ("next", "current"):
            (self.base / link).symlink_to("releases/1")
        programs = site.directory / "bin"
        programs.mkdir()
        (programs / "holdfast").symlink_to(HOLDFAST)
        self.program = programs / "holdfast-release"  # neither cap nor this ansible-playbook takes one with a blank
        self.program.symlink_to(EXAMPLES / "holdfast-release")
        self.path = f"{programs}:{process.PATH}"
        pages = site.directory / "pages"
        pages.write_text("/page.php\n")
        site.root = self.base
        site.serve_by(FrontEnd)
        configuration = site.directory / "site.conf"
        configuration.write_text(adapted("holdfast.conf", {
            "name = site": f"name = {site.name}", "/etc/holdfast/site.pages": pages, "/srv/www": self.base,
            "php-fpm8.2 --fpm-config /etc/php/8.2/fpm/php-fpm.conf": " ".join(map(str, site.command))})
            + f"warm-timeout = {DEADLINE}s\nready-timeout = {DEADLINE}s\n")
        self.holdfast = site.holdfast(f"--config={configuration}", command=[])

    def git(self, *command):
        return self.run("git", "-C", self.repository, "-c", "user.name=T", "-c", "user.email=t@holdfast.example", *command,
                        path=process.PATH, check=True).stdout.strip()

    def write(self, number, healthy=True):
        """A release, committed."""
        public = self.repository / "public"
        public.mkdir(exist_ok=True)
        scripts.write(public)
        (public / "page.php").write_text(f'<?php echo "release {number} ";')
        (public / "health.php").write_text("<?php echo 'well';" if healthy else "<?php http_response_code(500);")
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={number}")

    def make_release(self, number):
        """A directory of what is committed."""
        release = self.base / "releases" / number
        release.mkdir(parents=True)
        self.run("sh", "-c", f"git -C {self.repository} archive HEAD | tar -x -C {release}", path=process.PATH, check=True)
        return release

    def run(self, *command, path=None, check=False, **more):
        result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=4 * DEADLINE, check=False, cwd=more.pop("cwd", None),
                                env=environment(PATH=path or self.path, HOLDFAST_NAME=self.site.name, **more))
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def serving(self):
        return self.site.get("/page.php")[1]


@pytest.fixture
def world(make_site):
    site = make_site(process_control_timeout="10s")
    return World(site)


def by_hand(world, number):
    return world.run("holdfast-release", world.make_release(number))


# Deployer's functions, as its documentation describes them, and the steps of its recipe around the link.
DEPLOYER = r"""<?php
namespace Deployer;
$tasks = $befores = $afters = [];
$settings = ['release_path' => $argv[2], 'current_path' => $argv[3]];
function set($name, $value) { $GLOBALS['settings'][$name] = $value; }
function parse($text) { return preg_replace_callback('/\{\{(\w+)\}\}/', fn($m) => $GLOBALS['settings'][$m[1]], $text); }
function desc($text) {}
function task($name, $body) { $GLOBALS['tasks'][$name] = $body; }
function before($task, $other) { $GLOBALS['befores'][$task][] = $other; }
function after($task, $other) { $GLOBALS['afters'][$task][] = $other; }
function run($command) {
    passthru(parse($command), $status);
    if ($status) { fwrite(STDERR, "error in task\n"); exit(1); }
}
function invoke($name) {
    array_map('Deployer\invoke', $GLOBALS['befores'][$name] ?? []);
    $GLOBALS['tasks'][$name]();
    array_map('Deployer\invoke', $GLOBALS['afters'][$name] ?? []);
}
task('deploy:symlink', fn() => run('ln -sfn {{release_path}} {{current_path}}.dep && mv -T {{current_path}}.dep {{current_path}}'));
task('rollback', $tasks['deploy:symlink']);
require $argv[1];
set('holdfast_release', 'holdfast-release');
invoke($argv[4]);
"""


def by_deployer(world, number, task="deploy:symlink"):
    recipe = world.site.directory / "deployer-stand-in.php"
    recipe.write_text(DEPLOYER)
    release = world.base / "releases" / number
    return world.run("php", recipe, EXAMPLES / "deployer.php", release if release.exists() else world.make_release(number),
                     world.base / "current", task)


CAPFILE = """
require "capistrano/setup"
require "capistrano/deploy"
require "capistrano/scm/git"
install_plugin Capistrano::SCM::Git
import "{task}"
"""
STAGE = """
set :application, "site"
set :repo_url, "{repository}"
set :branch, "main"
set :deploy_to, "{base}"
set :holdfast_release, "{program}"
set :sshkit_backend, SSHKit::Backend::Local
set :default_env, {{ "HOLDFAST_NAME" => "{name}", "PATH" => "{path}" }}
server "localhost", roles: %w[app]
# Releases are named by the second, which two of them may share here.
env.instance_variable_set(:@timestamp, Time.at({number}).utc)
"""


def by_capistrano(world, number):
    directory = world.site.directory / "cap"
    (directory / "config" / "deploy").mkdir(parents=True, exist_ok=True)
    (directory / "Capfile").write_text(CAPFILE.format(task=EXAMPLES / "capistrano.rake"))
    (directory / "config" / "deploy.rb").write_text("")
    (directory / "config" / "deploy" / "production.rb").write_text(STAGE.format(
        repository=world.repository, base=world.base, program=world.program, name=world.site.name,
        path=world.path, number=number))
    return world.run("cap", "production", "deploy", cwd=directory, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory",
                     GIT_CONFIG_VALUE_0="*")


def by_ansible(world, number):
    archive = world.site.directory / f"{number}.tar"
    world.git("archive", f"--output={archive}", "HEAD")
    values = {"holdfast_release_base": world.base, "holdfast_release_archive": archive, "holdfast_release_id": number,
              "holdfast_release_program": world.program, "holdfast_release_name": world.site.name,
              "ansible_python_interpreter": "/usr/bin/python3"}
    return world.run("ansible-playbook", "--inventory=localhost,", "--connection=local",
                     *(f"--extra-vars={key}={value}" for key, value in values.items()), EXAMPLES / "playbook.yml",
                     ANSIBLE_LOCAL_TEMP=str(world.site.directory / "ansible"), ANSIBLE_NOCOLOR="1",
                     ANSIBLE_REMOTE_TEMP=str(world.site.directory / "ansible"))


def by_a_workflow(world, number):
    """Each step as the runner executes it. ssh is a shell on this machine."""
    ssh = world.site.directory / "bin" / "ssh"
    ssh.write_text('#!/bin/sh\n[ "$1" = deploy@www.example.org ]\nshift\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    job = yaml.safe_load((EXAMPLES / "github.yml").read_text())["jobs"]["deploy"]
    values = {key: value.replace("${{ github.sha }}", world.git("rev-parse", "HEAD")).replace("/srv/www", str(world.base))
              for key, value in job["env"].items()}
    for step in job["steps"]:
        if "run" not in step:
            assert step["uses"].startswith("actions/checkout@")
            continue
        assert step["shell"] == "bash"
        result = world.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"], cwd=world.repository, **values)
        if result.returncode:
            break
    return result


def by_forge(world, number):
    checkout = world.site.directory / "forge"
    if not checkout.exists():
        world.run("git", "clone", "--quiet", "--branch=main", world.repository, checkout, check=True)
        (world.site.directory / "forge-releases").symlink_to(world.base)
    return world.run("bash", EXAMPLES / "forge.sh", FORGE_SITE_PATH=str(checkout), FORGE_SITE_BRANCH="main", FORGE_COMPOSER="composer")


def by_envoyer(world, number):
    hook = (EXAMPLES / "envoyer.sh").read_text()
    assert hook.count("{{ release }}") == 1
    return world.run("bash", "-c", hook.replace("{{ release }}", str(world.make_release(number))))


WAYS = [by_hand, by_deployer, by_capistrano, by_ansible, by_a_workflow, by_forge, by_envoyer]


@pytest.mark.parametrize("deploy", WAYS, ids=lambda way: way.__name__)
def test_a_deploy_under_load(world, deploy):
    """A good release: nothing is lost, and after the first answer of the new one nobody gets the old one. Then one whose
    canary fails: nobody sees it, and the deploy fails."""
    assert world.serving() == "release 1 "
    load = world.site.load(rate=100, path="/page.php")
    world.write("2")
    good = deploy(world, "2")
    assert good.returncode == 0, good.stdout + good.stderr
    assert world.serving() == "release 2 "
    assert world.holdfast.lines.find(r"generation 2 warmed .*by \d+ request")
    links = {link: os.path.realpath(world.base / link) for link in ("next", "current")}
    assert len(set(links.values())) == 1

    world.write("3", healthy=False)
    bad = deploy(world, "3")
    assert bad.returncode != 0
    assert "not in use" in bad.stdout + bad.stderr and "500" in bad.stdout + bad.stderr
    assert world.serving() == "release 2 "
    assert {link: os.path.realpath(world.base / link) for link in links} == links

    load.assert_nothing_lost()
    asked = [(entry["at"], entry["at"] + entry["latency"], entry["body"].strip())
             for entry in load.stop()["ledger"] if not entry["slow"]]
    assert {version for _, _, version in asked} == {"release 1", "release 2"}
    assert not went_back(asked)
    world.holdfast.stop()


NOT_THE_SECOND = 'import sys, urllib.request as r; sys.exit(b"release 2" in r.urlopen(sys.argv[1]).read())'


def test_a_release_that_fails_its_check_is_rolled_back(world):
    """The canary passes, but the check after the switch fails: the old php-fpm, which was parked, serves again."""
    load = world.site.load(rate=100, path="/page.php")
    old = world.site.main_pid()
    world.write("2")
    result = world.run("holdfast-release", world.make_release("2"),
                       HOLDFAST_CHECK=f"/usr/bin/python3 -c '{NOT_THE_SECOND}' {world.site.url}/page.php")
    assert result.returncode == 1 and "not in use" in result.stderr
    assert world.serving() == "release 1 " and world.site.main_pid() == old
    assert os.readlink(world.base / "current") == "releases/1"
    assert os.path.basename(os.path.realpath(world.base / "next")) == "1"
    # and what is started next is of that release as well
    world.holdfast.reload(3)
    assert world.serving() == "release 1 "
    load.assert_nothing_lost()
    world.holdfast.stop()


def test_one_at_a_time(world):
    release = world.make_release("2")
    result = world.run("flock", world.base / ".holdfast-release", "holdfast-release", release)
    assert result.returncode == 1 and "another one is at work" in result.stderr
    assert os.readlink(world.base / "next") == "releases/1"
    world.holdfast.stop()


def test_deployers_rollback_is_followed(world):
    assert by_deployer(world, "2").returncode == 0
    result = by_deployer(world, "1", task="rollback")
    assert result.returncode == 0, result.stdout + result.stderr
    assert os.path.realpath(world.base / "next") == str(world.base / "releases" / "1")
    world.holdfast.stop()
