"""A private PostgreSQL server, or a database that is there, for the bench scripts."""

import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile


class Server:
    """A PostgreSQL server of our own, gone when this process is gone."""

    # Waits for the end of this process, however it comes, then stops the server.
    SUPERVISOR = """
trap '' HUP INT TERM
cat >/dev/null
if [ -f "$1/data/postmaster.pid" ]; then
  pid=$(head -n 1 "$1/data/postmaster.pid")
  kill -QUIT "$pid"
  tries=0
  while [ -f "$1/data/postmaster.pid" ] && [ $tries -lt 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  [ -f "$1/data/postmaster.pid" ] && kill -KILL "$pid"
fi
rm -rf "$1"
"""
    SETTINGS = ["shared_buffers=2GB", "max_wal_size=8GB", "listen_addresses=", "port=5432"]

    def __enter__(self):
        # A socket's path has a hundred bytes, so the folder stands right under /tmp.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tgb-", dir="/tmp"))
        self.supervisor = subprocess.Popen(
            ["sh", "-c", self.SUPERVISOR, "supervisor", self.dir],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        programs = server_programs()
        self.user = server_user()
        self.dir.chmod(0o755)
        if self.user:
            os.chown(self.dir, self.user["user"], self.user["group"])
        data = self.dir / "data"
        init = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        self.run([*init, "--locale=C"])
        flags = " ".join(f"-c {setting}" for setting in [*self.SETTINGS, "timezone=UTC"])
        log = self.dir / "server.log"
        start = [programs / "pg_ctl", "-D", data, "-l", log, "-w", "-o", f"-k {self.dir} {flags}"]
        self.run([*start, "start"])

    def run(self, command):
        done = subprocess.run(
            command, cwd="/", env=clean_env(), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **self.user,
        )  # fmt: skip
        if done.returncode != 0:
            sys.exit(f"{command[0]} failed:\n{done.stdout}")

    def __exit__(self, *_):
        self.supervisor.stdin.close()
        self.supervisor.wait()

    def url(self, database="bench"):
        return f"postgresql://postgres@{str(self.dir).replace('/', '%2F')}:5432/{database}"

    def query(self, sql, *database):
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url(*database), "-c", sql]
        done = subprocess.run(command, env=clean_env(), text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{sql}: {done.stderr}")
        return done.stdout.strip()

    def fresh_database(self):
        self.query("DROP DATABASE IF EXISTS bench WITH (FORCE)", "postgres")
        self.query("CREATE DATABASE bench TEMPLATE template0", "postgres")


class Elsewhere:
    """A database that is there already, and stays."""

    def __init__(self, url):
        self.given = url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def url(self):
        return self.given

    query = Server.query


def server_programs():
    """The folder of initdb and pg_ctl: the newest that is found."""
    folders = []
    if os.environ.get("TIDEGATE_TEST_PG_BIN"):
        folders.append(pathlib.Path(os.environ["TIDEGATE_TEST_PG_BIN"]))
    if shutil.which("pg_config"):
        said = subprocess.run(["pg_config", "--bindir"], text=True, capture_output=True).stdout
        folders.append(pathlib.Path(said.strip()))
    debian = pathlib.Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in folders:
        if (folder / "initdb").is_file() and (folder / "pg_ctl").is_file():
            return folder
    sys.exit("no initdb and pg_ctl: install PostgreSQL's server or set TIDEGATE_TEST_PG_BIN")


def server_user():
    """Arguments of `subprocess` that make the server's user: initdb refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ["postgres", "nobody"]:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    sys.exit("root cannot run a server, and there is no user postgres or nobody")


def clean_env():
    mine = ("PG", "TIDEGATE", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)}
