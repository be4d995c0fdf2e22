"""Compiling in the sandbox: warm javac, C++ with and without the precompiled header, and the compile cache."""

import resource
import statistics
import time
from typing import Any

from benchmarks.perf.sandbox_meter import tree_cpu_ms
from sandbox import Sandbox
from sandbox.job import Job
from sandbox.languages import Language, load
from sandbox.languages.cpp import Cpp

CPP = """#include <bits/stdc++.h>
using namespace std;
int main() {
    ios::sync_with_stdio(false); cin.tie(nullptr);
    int n; cin >> n; vector<long long> a(n); for (auto& x : a) cin >> x;
    sort(a.begin(), a.end()); map<long long, int> seen; for (auto x : a) seen[x]++;
    priority_queue<pair<int, long long>> best; for (auto& [x, c] : seen) best.push({c, x});
    cout << best.top().second << ' ' << seen.size() << "\\n"; // NUMBER
}
"""
JAVA = """import java.util.*; import java.io.*;
public class Main {
    static class Edge { int to; long weight; Edge(int to, long weight) { this.to = to; this.weight = weight; } }
    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        StringTokenizer t = new StringTokenizer(in.readLine());
        int n = Integer.parseInt(t.nextToken());
        Map<Integer, List<Edge>> g = new HashMap<>();
        for (int i = 0; i < n; i++) g.computeIfAbsent(i, k -> new ArrayList<>()).add(new Edge(i + 1, NUMBER));
        PriorityQueue<Edge> q = new PriorityQueue<>(Comparator.comparingLong(e -> e.weight));
        g.values().forEach(q::addAll);
        System.out.println(q.size() + " " + g.size());
    }
}
"""


def _compile_ms(sandbox: Sandbox, language: Language, code: str) -> tuple[float, float]:
    """CPU of the compiler, as the sandbox accounts it, and elapsed milliseconds, of one compilation."""
    job = Job.model_validate({"language": language.name, "code": code})
    begun = time.perf_counter()
    program = language.compile(job, sandbox._workshop)
    elapsed = 1000 * (time.perf_counter() - begun)
    return (1000 * program.compile.cpu_s if program.compile else 0.0), elapsed


def run(rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU, medians of ``rounds`` interleaved rounds with sources that differ from all before."""
    figures: dict[str, list[float]] = {}
    stamp = time.time_ns()
    java, cpp, plain = load("java"), load("cpp"), Cpp(precompile=False)
    subjects = {"java, warm": (java, JAVA), "c++, plain": (plain, CPP), "c++, precompiled header": (cpp, CPP)}
    with Sandbox(workers=1) as sandbox:
        for number in range(rounds + 3):
            for at, (name, (language, template)) in enumerate(subjects.items()):
                code = template.replace("NUMBER", str(stamp % 10**9 + 3 * number + at))
                cpu, _ = _compile_ms(sandbox, language, code)
                before = _own_ms()
                _, elapsed = _compile_ms(sandbox, language, code)
                if number >= 3:  # the first make the header and warm the compiler up
                    figures.setdefault(name, []).append(cpu)
                    figures.setdefault(f"{name}: cached", []).append(_own_ms() - before)
                    figures.setdefault(f"{name}: cached, elapsed", []).append(elapsed)
        for name, (language, template) in subjects.items():
            code = template.replace("NUMBER", "1")
            job = {"language": language.name, "code": code, "mode": "run", "options": {"stdin": "3 1 2 3"}}
            if sandbox.execute(job).verdict != "accepted":
                raise SystemExit(f"{name}: the program of this benchmark does not run")
            before = tree_cpu_ms()
            for _ in range(10):
                sandbox.execute(job)
            figures[f"{name}: one run, all costs"] = [(tree_cpu_ms() - before) / 10]
    return {
        name: {"cpu_ms": round(statistics.median(values), 2), "worst": round(max(values), 2), "rounds": len(values)}
        for name, values in figures.items()
    }


def _own_ms() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (usage.ru_utime + usage.ru_stime)
