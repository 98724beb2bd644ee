#!/usr/bin/env python3
"""Forgetting beside peers: every second of many snapshots of a tree of small files is forgotten and collected.

  collect.py build   grows the tree, and backs it up again and again with every tool, changing 2 % between
  collect.py run     forgets and collects on copies of the repositories, interleaved; restores a part and compares
  collect.py table   markdown, medians over the runs

Everything lies below $COMPARE_DIR (a file system of its own is best: deleting is slow on some). Of the files
that change, half are the same ones each time, as logs are, and half are any. What a file holds follows from its
number and the generation in which it changed last, so a restored file of any snapshot can be judged. A row has
wall and CPU seconds (of the processes, which wait4 sums) and the repository's bytes before and after. Machines
are noisy: `other` is the CPU time that all else took meanwhile; quote wall times of quiet runs only.
"""
import argparse, hashlib, json, os, random, shutil, statistics, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor

BASE = os.environ.get("COMPARE_DIR", os.path.expanduser("~/.cache/strongroom-compare/collect"))
RUSTIC = os.environ.get("RUSTIC_BIN", "rustic")
STRONGROOM = os.environ.get("STRONGROOM_BIN", "strongroom")
PASSWORD = "correct horse battery staple"
FOLDER_FILES = 100


class Tool:
    """A tool's commands; every one runs with the tool's folder as its working folder."""
    environment = {}
    built_by = None  # whose repository it works on, when not on one of its own

    def __init__(self):
        self.built = f"{BASE}/{self.built_by or self.name}-built"
        self.home = f"{BASE}/tools/{self.name}"
        self.repository = f"{self.home}/repository"

    def run(self, command, **options):
        environment = dict(os.environ, HOME=self.home, TMPDIR=self.home, **self.environment)
        return subprocess.run(["bash", "-ec", command], cwd=self.home, env=environment, check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options).stdout.decode()


class Strongroom(Tool):
    name = "strongroom"
    common = f"{STRONGROOM} --vault repository --cache-dir cache --state-dir state --progress none"
    version = f"{STRONGROOM} --version"
    init = f"{common} init --key key && {common} --key key key export --role collector --label gc --output gc.key"
    collect = f"{common} --key gc.key collect --trash-days 0 --reader-grace 0 >&2"

    def backup(self, generation):
        return f"{self.common} --key key backup {BASE}/tree"

    def snapshots(self):
        listed = json.loads(self.run(f"{self.common} --key gc.key --json snapshots"))["snapshots"]
        return [snapshot["id"] for snapshot in listed]

    def forget(self, snapshots):
        return f"{self.common} --key gc.key forget {' '.join(snapshots)} >&2; {self.collect}"

    def restore(self, snapshot, folder):
        return f"{self.common} --key key restore {snapshot}:{BASE}/tree/{folder} --to restored"


class StrongroomCompacting(Strongroom):
    """Frees as the others do: what lives leaves packs of which a part is dead."""
    name = "strongroom --compact"
    built_by = "strongroom"
    collect = Strongroom.collect.replace("gc.key", "key") + " --compact >&2"


class Restic(Tool):
    name = "restic"
    common = "restic -q -r repository --password-file password --cache-dir cache"
    version = "restic version | cut -d' ' -f1,2"
    init = f"{common} init"

    def backup(self, generation):
        return f"{self.common} backup {BASE}/tree"

    def snapshots(self):
        return [snapshot["id"] for snapshot in json.loads(self.run(f"{self.common} --json snapshots"))]

    def forget(self, snapshots):
        return f"{self.common} forget --prune {' '.join(snapshots)} >&2"

    def restore(self, snapshot, folder):
        path = f"{BASE}/tree/{folder}"
        return f"{self.common} restore {snapshot} --include {path} --target out && mv out{path} restored"


class Rustic(Tool):
    """Reads what restic wrote."""
    name = "rustic"
    built_by = "restic"
    common = f"{RUSTIC} --no-progress --log-level error -r repository --password-file password --cache-dir rcache"
    version = f"{RUSTIC} --version"

    def snapshots(self):
        groups = json.loads(self.run(f"{self.common} snapshots --json"))
        listed = [snapshot for group in groups for snapshot in group["snapshots"]]
        return [snapshot["id"] for snapshot in sorted(listed, key=lambda snapshot: snapshot["time"])]

    def forget(self, snapshots):
        prune = "--prune --instant-delete --keep-pack 0s --keep-delete 0s"
        return f"{self.common} forget {prune} {' '.join(snapshots)} >&2"

    def restore(self, snapshot, folder):
        return f"{self.common} restore {snapshot}:{BASE}/tree/{folder} restored"


class Borg(Tool):
    name = "borg"
    environment = {"BORG_PASSPHRASE": PASSWORD, "BORG_BASE_DIR": ".",
                   "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}
    version = "borg --version"
    init = "borg init -e repokey-blake2 repository"

    def backup(self, generation):
        return f"borg create --compression zstd,3 repository::g{generation:03} {BASE}/tree"

    def snapshots(self):
        return [archive["name"] for archive in json.loads(self.run("borg list --json repository"))["archives"]]

    def forget(self, snapshots):
        return f"borg delete repository {' '.join(snapshots)} && borg compact repository"

    def restore(self, snapshot, folder):
        path = f"{BASE}/tree/{folder}"
        return f"mkdir out && cd out && borg extract ../repository::{snapshot} {path[1:]} && mv .{path} ../restored"


def changed(files, generation):
    """The files that are written in a generation."""
    if generation == 0:
        return range(files)
    any_file = random.Random(generation).sample(range(files), files // 100)
    return sorted(set(range(7, files, FOLDER_FILES)) | set(any_file))


def content(number, generation):
    name = f"{number} {generation}".encode()
    length = 200 + int.from_bytes(hashlib.sha256(name).digest()[:4], "little") % 3800
    return hashlib.shake_128(name).hexdigest(length).encode()


def folder_of(number):
    return f"{number // FOLDER_FILES // 100:02}/{number // FOLDER_FILES % 100:02}"


def write_generation(files, generation):
    for number in changed(files, generation):
        folder = f"{BASE}/tree/{folder_of(number)}"
        if generation == 0 and number % FOLDER_FILES == 0:
            os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number % FOLDER_FILES:02}", "wb") as file:
            file.write(content(number, generation))


def tools(options):
    return [tool() for tool in (Strongroom, StrongroomCompacting, Restic, Rustic, Borg)
            if tool.name in options.tools.split(",")]


def build(options):
    os.makedirs(BASE, exist_ok=True)
    builders = [tool for tool in tools(options) if tool.built_by is None]
    for tool in builders:
        os.makedirs(tool.home)
        with open(f"{tool.home}/password", "w") as file:
            file.write(PASSWORD)
        tool.run(tool.init)
    for generation in range(options.snapshots):
        began = time.time()
        write_generation(options.files, generation)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda tool: tool.run(tool.backup(generation)), builders))
        print(f"generation {generation}: {time.time() - began:.1f} s", flush=True)
    for tool in builders:
        os.rename(tool.home, tool.built)


def stored(path):
    sizes = [os.lstat(os.path.join(folder, file)).st_size for folder, _, files in os.walk(path) for file in files]
    return sum(sizes)


def machine_seconds():
    fields = list(map(int, open("/proc/stat").readline().split()[1:]))
    return (sum(fields[:3]) + sum(fields[5:7])) / os.sysconf("SC_CLK_TCK")


def timed(tool, command):
    log = open(f"{BASE}/log", "ab")
    environment = dict(os.environ, HOME=tool.home, TMPDIR=tool.home, **tool.environment)
    machine, began = machine_seconds(), time.time()
    process = subprocess.Popen(["bash", "-ec", command], cwd=tool.home, env=environment,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    _, status, usage = os.wait4(process.pid, 0)
    wall, cpu = time.time() - began, usage.ru_utime + usage.ru_stime
    if status:
        sys.exit(f"{tool.name}: {command[:80]} ended with {os.waitstatus_to_exitcode(status)}, see {BASE}/log")
    other = max(0.0, machine_seconds() - machine - cpu)
    return dict(wall=wall, cpu=cpu, other=other, memory=usage.ru_maxrss * 1024)


def check(tool, snapshots, options):
    """Restores a hundredth of a kept snapshot and holds it to what was written."""
    generation = options.snapshots // 2 | 1
    folder = "00"
    tool.run(tool.restore(snapshots[generation], folder))
    newest = {}
    for earlier in range(generation + 1):
        newest.update(dict.fromkeys(changed(options.files, earlier), earlier))
    numbers = [number for number in range(min(options.files, 100 * FOLDER_FILES))]
    for number in numbers:
        path = f"{tool.home}/restored/{folder_of(number)[3:]}/{number % FOLDER_FILES:02}"
        with open(path, "rb") as file:
            assert file.read() == content(number, newest[number]), f"{tool.name}: {path} is not what was kept"
    return len(numbers)


def run(options):
    rows = open(f"{BASE}/rows.jsonl", "a")
    for nth in range(options.runs):
        for tool in tools(options):
            shutil.rmtree(tool.home, ignore_errors=True)
            subprocess.check_call(["cp", "-a", tool.built, tool.home])
            snapshots = tool.snapshots()
            assert len(snapshots) == options.snapshots, f"{tool.name} lists {len(snapshots)} snapshots"
            before = stored(tool.repository)
            row = timed(tool, tool.forget(snapshots[0::2]))
            row.update(tool=tool.name, version=tool.run(tool.version).strip(), run=nth, before=before,
                       after=stored(tool.repository), files=options.files, snapshots=options.snapshots)
            assert len(tool.snapshots()) == options.snapshots // 2
            if isinstance(tool, Strongroom):
                row["nothing"] = timed(tool, tool.collect)
            if nth == 0:
                row["compared"] = check(tool, snapshots, options)
            rows.write(json.dumps(row) + "\n")
            rows.flush()
            print(json.dumps(row), flush=True)


def table(_):
    rows = [json.loads(line) for line in open(f"{BASE}/rows.jsonl")]
    print("| tool | runs | wall s | CPU s | other CPU s | peak MiB | MB before | MB after |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(row["tool"] for row in rows):
        of_tool = [row for row in rows if row["tool"] == name]
        middle = lambda key: statistics.median(row[key] for row in of_tool)
        print(f"| {name}, {of_tool[0]['version'].split()[1]} | {len(of_tool)} | {middle('wall'):.2f} | {middle('cpu'):.2f} "
              f"| {middle('other'):.1f} | {max(row['memory'] for row in of_tool) / 2**20:.0f} "
              f"| {middle('before') / 1e6:.0f} | {middle('after') / 1e6:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["build", "run", "table"])
    parser.add_argument("--tools", default="strongroom,strongroom --compact,restic,rustic,borg")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--snapshots", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    {"build": build, "run": run, "table": table}[options.step](options)


if __name__ == "__main__":
    main()
