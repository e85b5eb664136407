#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lets one call after the other fail in short runs of the program, and holds each run to its promises.

A call of a kind (malloc, write, rename, ...) is made to fail by a preloaded library, fail_call.c, the 1st, the 2nd, and
so on: all of them with --all, else --sample of each kind, spread evenly. Whatever call it was, the run ends with status 0
and all that it had to write, the same as without, or with another status and one line that names a file or says
that memory is lacking; it never crashes or hangs, what lay on the disk before can be read, and the same command can be
given again, which leaves nothing over.
"""
import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MANY = "1000000000"
# Kind, how it fails, and how many times from there on.
WAYS = [
    ("malloc", "", "1"), ("calloc", "", "1"), ("realloc", "", "1"), ("aligned", "", "1"), ("memory", "", MANY),
    ("mmap", "", "1"), ("open", "EIO", "1"), ("open", "EMFILE", "1"), ("read", "EIO", "1"), ("read", "short", "1"),
    ("pread", "EIO", "1"), ("pread", "short", "1"), ("write", "EIO", "1"), ("write", "ENOSPC", "1"),
    ("write", "short", "1"), ("write", "ENOSPC", MANY), ("pwrite", "EIO", "1"), ("pwrite", "ENOSPC", "1"),
    ("pwrite", "short", "1"), ("fsync", "EIO", "1"), ("rename", "EIO", "1"), ("mkdir", "ENOSPC", "1"),
    ("symlink", "EIO", "1"), ("flock", "EIO", "1"), ("thread", "", "1"), ("stat", "EIO", "1"), ("stat", "EACCES", "1"),
    ("opendir", "EIO", "1"),
]
TINY = ["--policy.pretrained_backbone_weights=null", "--policy.device=cpu", "--policy.dim_model=32", "--policy.n_heads=4",
        "--policy.dim_feedforward=64", "--policy.n_encoder_layers=1", "--policy.n_vae_encoder_layers=1",
        "--policy.chunk_size=4", "--policy.n_action_steps=4", "--policy.resize_shape=null", "--batch_size=2",
        "--num_workers=1", "--log_freq=1", "--num_stat_samples=0", "--threads=1", "--tensorboard=true",
        '--policy.input_features={"observation.state": {"type": "STATE"}, '
        '"observation.environment_state": {"type": "ENV"}}']
CLOCK = re.compile(r'"(update_s|data_s|dataloading_s)": [^,}]*')


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def tree(root):
    """Every file below a folder: its path in it -> its bytes, without what the clock says."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, root)
            if "tfevents" in name or name == "metrics.csv":
                continue  # named after the time; rows have the time in them
            data = content(path)
            if name in ("metrics.jsonl", "tact_state.json"):
                data = CLOCK.sub("", data.decode()).encode()
            found[inside] = data
    return found


def leftovers(root):
    return [p for p in tree(root) if ".tmp" in p or ".old" in p or ".partial" in p] if os.path.isdir(root) else []


def same_tree(a, b, but=()):
    skip = [p for p in set(a) ^ set(b) if p not in but]
    need(not skip, "files that are missing or more: %s" % ", ".join(sorted(skip)[:3]))
    for path in a:
        need(path in but or a[path] == b[path], "%s differs" % path)


def without(value, keys=("training_log", "training", "trained_on", "step", "held_out")):
    if isinstance(value, dict):
        return {k: without(v, keys) for k, v in value.items() if k not in keys}
    return [without(v, keys) for v in value] if isinstance(value, list) else value


def difference(a, b, at=""):
    """Where two values of JSON differ first."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return next((d for d in (difference(a[k], b[k], at + "/" + k) for k in a) if d), "")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return next((d for d in (difference(x, y, at + "/%d" % i) for i, (x, y) in enumerate(zip(a, b))) if d), "")
    return "" if a == b else "%s: %.80r, not %.80r" % (at, a, b)


class Scene:
    """One command: how its folder is set up, what it has to leave behind, what is done after a failure."""

    def __init__(self, walk):
        self.walk = walk
        self.work = walk.work

    def path(self, *names):
        return os.path.join(self.work, *names)

    def reset(self):
        shutil.rmtree(self.path("out"), ignore_errors=True)

    def result(self):
        """What a whole run left, to be compared."""
        return tree(self.path("out"))

    def check(self, warned):
        same_tree(self.result(), self.expected, ("metrics.jsonl",) if warned else ())
        need(not leftovers(self.path("out")), "left over: %s" % leftovers(self.path("out")))

    def after_failure(self):
        """The same command again does what it would have done."""
        self.walk.run(self.command(), "again")
        self.check(False)


class Train(Scene):
    name = "train"

    def command(self):
        return ["train", "--dataset.repo_id=t/t", "--dataset.root=" + self.path("data"), *TINY, "--steps=2", "--save_freq=1",
                "--output_dir=" + self.path("out")]

    def resume(self):
        return ["train", "--resume=true", "--config_path=" +
                self.path("out", "checkpoints", "last", "pretrained_model", "train_config.json")]

    def check(self, warned):
        # A run goes on after a save that failed, and says so; only the last one must not.
        lost = os.path.join("checkpoints", "000001")
        if warned and not os.path.isdir(self.path("out", lost)):
            whole, self.expected = self.expected, {p: d for p, d in self.expected.items() if not p.startswith(lost)}
            try:
                super().check(warned)
            finally:
                self.expected = whole
        else:
            super().check(warned)
        need(os.readlink(self.path("out", "checkpoints", "last")) == "000002", "last is not the last one")

    def after_failure(self):
        out = self.path("out")
        for step in ("000001", "000002"):
            whole = os.path.join(out, "checkpoints", step)
            if os.path.isdir(whole):
                self.walk.run(["info", whole], "info of checkpoint " + step)
                saved, meant = tree(whole), self.expected
                for path in saved:
                    # What is there of a checkpoint is all of it, as it would have been.
                    need(saved[path] == meant["checkpoints/%s/%s" % (step, path)], "%s of %s is damaged" % (path, step))
                need(len(saved) == len([p for p in meant if p.startswith("checkpoints/%s/" % step)]), step + " lacks a file")
        if os.path.islink(os.path.join(out, "checkpoints", "last")):
            log = os.path.join(out, "metrics.jsonl")
            for line in content(log).decode().splitlines(True)[:-1] if os.path.exists(log) else []:
                json.loads(line)
            if os.readlink(os.path.join(out, "checkpoints", "last")) != "000002":
                self.walk.run(self.resume(), "resume")
                super().check(True)
        elif os.path.isdir(out):
            self.reset()
            super().after_failure()


class Resume(Train):
    name = "resume"

    def reset(self):
        super().reset()
        base = self.path("base")
        if not os.path.isdir(base):
            self.walk.run([a for a in super().command() if a != "--steps=2"] + ["--steps=1"], "the run to go on with")
            os.rename(self.path("out"), base)
        shutil.copytree(base, self.path("out"), symlinks=True)

    def command(self):
        return self.resume() + ["--steps=2"]

    def after_failure(self):
        need(os.path.islink(self.path("out", "checkpoints", "last")), "the last checkpoint is gone")
        resume = self.resume
        self.resume = lambda: resume() + ["--steps=2"]
        super().after_failure()
        del self.resume


class Eval(Scene):
    name = "eval"

    def command(self):
        return ["eval", "--policy.path=" + self.path("trained"), "--dataset.root=" + self.path("data"), "--threads=1",
                "--eval.stride=6", "--dataset.episodes=[0]", "--output_dir=" + self.path("out")]

    def result(self):
        found = {}
        for name in os.listdir(self.path("out")):
            data = content(self.path("out", name)).decode()
            if name == "eval.json":
                numbers = json.loads(data)
            else:
                at = data.index('type="application/json"')
                at = data.index(">", at) + 1
                numbers = json.loads(data[at:data.index("</script", at)])
            for clock in ("evaluated", "latency", "latency_ms", "seconds"):
                numbers.pop(clock, None)
            found[name] = numbers
        return found

    def check(self, warned):
        found = self.result()
        expected = self.expected
        if warned:  # what could not be read of the training is told, and is not the evaluation's
            found, expected = without(found), without(expected)
        need(found == expected, difference(found, expected))


class Import(Scene):
    name = "import"

    def reset(self):
        for name in os.listdir(self.work):
            if name.startswith(("out", ".out")):
                shutil.rmtree(self.path(name))

    def command(self):
        return ["import", os.path.join(HERE, "../import/data/umi.zarr.zip"), "--root=" + self.path("out"), "--images=png",
                "--fps=60", "--threads=1"]

    def check(self, warned):
        super().check(warned)
        # What could not be removed is told of.
        need(warned or not [n for n in os.listdir(self.work) if n.startswith((".out", "out.", "out-"))], "a folder is left over")

    def after_failure(self):
        if os.path.isdir(self.path("out")):
            self.check(False)  # it had its name, so it is whole
        else:
            super().after_failure()


class Info(Scene):
    name = "info"
    what = "data"

    def command(self):
        return ["info", self.path(self.what)]

    def result(self):
        return self.walk.stdout

    def check(self, warned):
        need(self.result() == self.expected, "says something else")


class InfoCheckpoint(Info):
    name = "info_checkpoint"
    what = "trained"


class Report(Scene):
    name = "report"

    def command(self):
        return ["report", self.path("trained"), "--output_file=" + self.path("out", "report.html")]

    def result(self):
        # It says when it was made.
        return {n: re.sub(rb'"made": "[^"]*"', b"", d) for n, d in tree(self.path("out")).items()}

    def check(self, warned):
        if warned:  # of what could not be read the page says nothing, and the warning does
            need(list(self.result()) == list(self.expected), "no page")
        else:
            super().check(warned)


SCENES = [Train, Resume, Eval, Import, Info, InfoCheckpoint, Report]


class Walk:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.stdout = b""
        self.points = collections.Counter()
        self.outcomes = collections.Counter()
        self.wrong = []

    def start(self, arguments, environment=None):
        process = subprocess.run([self.options.tact, *arguments], cwd=self.work, stdin=subprocess.DEVNULL,
                                 capture_output=True, timeout=120, check=False,
                                 env={**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000", **(environment or {})})
        self.stdout = process.stdout
        return process.returncode, process.stderr.decode(errors="replace")

    def run(self, arguments, what):
        code, said = self.start(arguments)
        need(code == 0, "%s: status %d: %s" % (what, code, said[-300:]))

    def fault(self, scene, kind="", n=0, how="", times="1"):
        log = os.path.join(self.work, "log")
        if os.path.exists(log):
            os.remove(log)
        code, said = self.start(scene.command(), {
            "LD_PRELOAD": self.options.library, "FAULT_KIND": kind, "FAULT_AT": str(n), "FAULT_HOW": how,
            "FAULT_TIMES": times, "FAULT_LOG": log})
        return code, said, content(log).decode() if os.path.exists(log) else ""

    def judge(self, scene, code, said):
        lines = [line for line in said.splitlines() if line.startswith("tact: ")]
        if code == 0:
            need(not lines, "status 0, but says: %s" % lines)
            scene.check("WARN" in said)
            return "whole"
        if code == -6:
            need(lines and "out of memory" in lines[-1], "aborted: %s" % said[-300:])
        else:
            need(code in (1, 2), "ended by signal or status %d: %s" % (code, said[-300:]))
            need(len(lines) == 1, "%d lines of error: %s" % (len(lines), said[-300:]))
            need("/" in lines[0] or "out of memory" in lines[0] or "thread" in lines[0], "names no file: %s" % lines[0])
        scene.after_failure()
        return "memory" if code == -6 else "refused"

    def point(self, scene, kind, n, how, times):
        scene.reset()
        shown = "%s: %s %d%s" % (scene.name, kind, n, " " + how if how else "") + (" and all after" if times == MANY else "")
        log = ""
        try:
            code, said, log = self.fault(scene, kind, n, how, times)
            self.outcomes[self.judge(scene, code, said)] += 1
        except (Wrong, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as wrong:
            self.wrong.append(shown)
            print("FAILED: %s: %s%s" % (shown, wrong, "".join(" [%s]" % l for l in log.splitlines() if "failed" in l)[:300]),
                  flush=True)
        self.points[kind + (" " + how if how else "") + (" from there on" if times == MANY else "")] += 1

    def scene(self, scene):
        scene.reset()
        code, said, log = self.fault(scene)
        need(code == 0, "%s fails without a fault: %s" % (scene.name, said))
        scene.expected = scene.result()
        scene.reset()
        self.run(scene.command(), scene.name)
        scene.check(False)
        counts = {name: int(n) for name, n in (line.split() for line in log.splitlines())}
        counts["memory"] = sum(counts[k] for k in ("malloc", "calloc", "realloc", "aligned"))
        print("%s: %s" % (scene.name, " ".join("%s %d" % c for c in counts.items() if c[1])), flush=True)
        for kind, how, times in WAYS:
            if self.options.kind and kind not in self.options.kind.split(","):
                continue
            total = counts[kind]
            n = total if self.options.all else min(self.options.sample, total)
            for i in range(n):
                # Evenly spread, each in the middle of its share.
                self.point(scene, kind, i + 1 if n == total else (2 * i + 1) * total // (2 * n) + 1, how, times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tact")
    parser.add_argument("library")
    parser.add_argument("--all", action="store_true", help="every call")
    parser.add_argument("--sample", type=int, default=2, help="calls of each kind and way, in each scene")
    parser.add_argument("--scene", help="these scenes alone: " + ",".join(s.name for s in SCENES))
    parser.add_argument("--kind", help="these kinds of calls alone, as malloc,write")
    options = parser.parse_args()
    options.tact, options.library = os.path.abspath(options.tact), os.path.abspath(options.library)
    with tempfile.TemporaryDirectory() as work:
        walk = Walk(options, work)
        walk.run(["sample", "--root=data", "--episodes=3", "--frames=12", "--height=64", "--width=64", "--env_dim=3"], "sample")
        train = Train(walk)
        walk.run(train.command(), "training")
        os.rename(train.path("out"), train.path("trained"))
        try:
            for kind in SCENES:
                if not options.scene or kind.name in options.scene.split(","):
                    walk.scene(kind(walk))
        except KeyboardInterrupt:
            print("stopped")  # and what there is until here
    for name, n in walk.points.items():
        print("%6d  %s" % (n, name))
    print("%d points, %d failed; %s" % (sum(walk.points.values()), len(walk.wrong),
                                        ", ".join("%d %s" % (n, o) for o, n in sorted(walk.outcomes.items()))))
    return 1 if walk.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
