"""The killmails that scripts/bench-peers loads, and its peer: the script that one would write."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import time

from .loaders import OURS, SCRIPTS, run_program
from .server import clean_env

# One script by two forms of psycopg: its compiled one (psycopg[binary]), and what `pip install
# psycopg` gives, which is Python over the system's libpq.
PEER, PURE_PEER = "python", "python-pure"
FORMS = ["archive", "ndjson"]
# Killmails of our own making, where no archives are given.
MADE_ARCHIVES, MADE_IN_EACH = 2, 8_000
MAIL_COLUMNS = """killmail_id, killmail_hash, killmail_time, solar_system_id, war_id, moon_id,
    victim_character_id, victim_corporation_id, victim_alliance_id, victim_faction_id,
    victim_ship_type_id, victim_damage_taken, position_x, position_y, position_z, attacker_count,
    content_hash, raw_data"""
PARTICIPANT_COLUMNS = """killmail_id, seq, killmail_time, character_id, corporation_id, alliance_id,
    faction_id, ship_type_id, weapon_type_id, damage, security_status, is_victim, final_blow"""
ITEM_COLUMNS = """killmail_id, seq, parent_seq, item_type_id, flag, singleton, quantity_dropped,
    quantity_destroyed"""


class Killmails:
    """Archives of killmails, and the same documents one a line; what must be in the tables."""

    def __init__(self, folder, archives):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        archives = [pathlib.Path(path) for path in archives] or real() or self.make()
        missing = [path for path in archives if not path.is_file()]
        if missing:
            sys.exit(f"there is no {missing[0]}")
        self.files = {"archive": archives, "ndjson": [self.lines(path) for path in archives]}
        counted = [SCRIPTS / "count-killmails", *archives]
        words = subprocess.run(counted, check=True, text=True, capture_output=True).stdout.split()
        self.count = int(words[0])
        # Killmails, participants, damage, items, and how many are dropped and destroyed.
        self.expected = "|".join(words[at] for at in (0, 1, 3, 4, 6, 7))

    def make(self):
        """Archives of killmails of our own making."""
        paths = [self.folder / f"made-{number}.tar.bz2" for number in range(MADE_ARCHIVES)]
        if all(path.is_file() for path in paths):
            return paths
        print("making archives of killmails", file=sys.stderr, flush=True)
        entry = str(SCRIPTS / "make-killmails")
        loader = importlib.machinery.SourceFileLoader("make_killmails", entry)
        maker = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(maker)
        for number, path in enumerate(paths):
            numbers = range(number * MADE_IN_EACH, (number + 1) * MADE_IN_EACH)
            members = [
                (f"killmails/{maker.FIRST + at}.json", maker.compact(maker.archived(at)).encode())
                for at in numbers
            ]
            write(path, maker.archive(members))
        return paths

    def lines(self, archive):
        """The documents of an archive, one a line."""
        path = self.folder / f"{archive.name}-{archive.stat().st_size}.ndjson"
        if not path.is_file():
            with tarfile.open(archive) as tar:
                documents = [tar.extractfile(member).read() for member in tar if member.isfile()]
            write(path, b"".join(document.strip() + b"\n" for document in documents))
        return path


def write(path, data):
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.rename(path)


def real():
    folder = os.environ.get("TIDEGATE_REAL_DATA")
    return sorted((pathlib.Path(folder) / "eve").glob("*.tar.bz2")) if folder else []


def prepare(server):
    """A fresh database with this program's tables, their keys and indexes."""
    server.fresh_database()
    run_program(server, "migrate", "up", "--domain", "killmails", "--yes")
    server.query("CHECKPOINT")


def run_once(server, loader, form, killmails):
    """Seconds of one load."""
    paths = killmails.files[form]
    if loader == OURS:
        return run_program(server, "backfill", *paths, "--progress", "none")
    command = [sys.executable, SCRIPTS / "bench-peers", "--killmail-worker", server.url(), *paths]
    form = "python" if loader == PURE_PEER else "binary"
    env = {**clean_env(), "PSYCOPG_IMPL": form}
    done = subprocess.run(command, env=env, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{loader} failed: {done.stderr.strip()}")
    return float(done.stdout)


def has_libpq():
    """Whether psycopg can do without its compiled form."""
    env = {**clean_env(), "PSYCOPG_IMPL": "python"}
    command = [sys.executable, "-c", "import psycopg"]
    return subprocess.run(command, env=env, capture_output=True).returncode == 0


def check(server, loader, killmails):
    """Fails unless the tables hold what an independent count of the archives says."""
    found = server.query(
        "SELECT (SELECT count(*) FROM killmails_raw), count(*), sum(damage), "
        "(SELECT concat_ws('|', count(*), coalesce(sum(quantity_dropped), 0), "
        "coalesce(sum(quantity_destroyed), 0)) FROM killmail_items) FROM participants"
    )
    if found != killmails.expected:
        raise RuntimeError(f"{loader}: the tables have {found}, not {killmails.expected}")


def work(url, paths):
    """Loads files as a plain script does: one document after another, three COPYs a file. Prints
    its seconds."""
    import psycopg

    start = time.perf_counter()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for path in paths:
            load_file(cursor, path)
            connection.commit()
    print(time.perf_counter() - start)


def documents(path):
    if not path.endswith(".ndjson"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    yield tar.extractfile(member).read()
        return
    with open(path, "rb") as file:
        yield from file


def load_file(cursor, path):
    participants, items = [], []
    with cursor.copy(f"COPY killmails_raw ({MAIL_COLUMNS}) FROM STDIN") as copy:
        for document in documents(path):
            mail = json.loads(document)
            copy.write_row(mail_row(mail, document.decode()))
            participants += participant_rows(mail)
            numbered = []
            flatten(mail["killmail_id"], mail["victim"].get("items", ()), None, numbered)
            items += numbered
    with cursor.copy(f"COPY participants ({PARTICIPANT_COLUMNS}) FROM STDIN") as copy:
        for row in participants:
            copy.write_row(row)
    with cursor.copy(f"COPY killmail_items ({ITEM_COLUMNS}) FROM STDIN") as copy:
        for row in items:
            copy.write_row(row)


def mail_row(mail, text):
    victim = mail["victim"]
    position = victim.get("position", {})
    return (
        mail["killmail_id"], mail.get("killmail_hash"), mail["killmail_time"],
        mail["solar_system_id"], mail.get("war_id"), mail.get("moon_id"),
        victim.get("character_id"), victim.get("corporation_id"), victim.get("alliance_id"),
        victim.get("faction_id"), victim.get("ship_type_id"), victim["damage_taken"],
        position.get("x"), position.get("y"), position.get("z"), len(mail["attackers"]),
        hash(text), text,
    )  # fmt: skip


def participant_rows(mail):
    for seq, one in enumerate([mail["victim"], *mail["attackers"]]):
        yield (
            mail["killmail_id"], seq, mail["killmail_time"], one.get("character_id"),
            one.get("corporation_id"), one.get("alliance_id"), one.get("faction_id"),
            one.get("ship_type_id"), one.get("weapon_type_id"),
            one["damage_done"] if seq else one["damage_taken"], one.get("security_status"),
            seq == 0, one.get("final_blow", False),
        )  # fmt: skip


def flatten(killmail_id, items, parent, rows):
    for item in items:
        seq = len(rows) + 1
        rows.append(
            (
                killmail_id, seq, parent, item["item_type_id"], item.get("flag"),
                item.get("singleton"), item.get("quantity_dropped"), item.get("quantity_destroyed"),
            )  # fmt: skip
        )
        flatten(killmail_id, item.get("items", ()), seq, rows)
