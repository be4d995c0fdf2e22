"""C++: standards, verdicts, the precompiled header, the compile cache, and compilers that are fed bombs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.job import Job, Result
from sandbox.languages.compile_cache import CompileCache, cache_key
from sandbox.languages.cpp import Cpp

ADD = "#include <bits/stdc++.h>\nint main() { long long a, b; std::cin >> a >> b; std::cout << a + b << '\\n'; }\n"

pytestmark = pytest.mark.skipif(Cpp().available() is not None, reason="this host has no g++")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as started:
        yield started


def run(sandbox: Sandbox, code: str, **fields: Any) -> Result:
    return sandbox.execute(Job.model_validate({"language": "cpp", "code": code, **fields}))


def test_judging_takes_stdin_and_compares_stdout(sandbox: Sandbox) -> None:
    tests = [{"stdin": "1 2", "expected": "3"}, {"stdin": "5 5", "expected": "11"}, {"stdin": "2 2", "expected": "4"}]
    result = run(sandbox, ADD, mode="judge", tests=tests)
    assert [case.verdict for case in result.cases] == ["accepted", "wrong_answer", "accepted"]
    assert result.verdict == "wrong_answer"
    assert result.isolation.startswith("full (")


def test_the_standard_is_that_of_the_job(sandbox: Sandbox) -> None:
    code = """#include <bits/stdc++.h>
    template <std::integral T> T twice(T x) { return 2 * x; }
    int main() { std::vector v{3, 1, 2}; std::ranges::sort(v); std::cout << v[0] << twice(4) << __cplusplus; }"""
    assert run(sandbox, code, options={"std": "c++20"}).stdout.startswith("182020")
    assert run(sandbox, code, options={"std": "c++17"}).verdict == "compile_error"
    assert run(sandbox, "#include <iostream>\nint main() { std::cout << __cplusplus; }").stdout == "201703"


def test_a_compile_error_names_the_line_and_runs_nothing(sandbox: Sandbox) -> None:
    result = run(sandbox, "int main() {\n  return undefined_name;\n}\n")
    assert result.verdict == "compile_error"
    assert "main.cpp:2:" in result.message + result.stderr
    assert "undefined_name" in result.message + result.stderr


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("return 3;", "runtime_error"),
        ("abort();", "runtime_error"),
        ("volatile int* p = nullptr; *p = 1;", "runtime_error"),
        ('throw std::runtime_error("thrown");', "runtime_error"),
        ("std::vector<int> v(2); std::cout << v.at(5);", "runtime_error"),
        ("for (volatile int i = 0;; i = i + 1) {}", "time_limit"),
        ("std::vector<char> v; for (;;) v.resize(v.size() + (1 << 20), 1);", "memory_limit"),
        ('for (;;) puts("output without end");', "output_limit"),
        ("volatile int zero = 0; std::cout << 7 / zero;", "runtime_error"),
    ],
)
def test_verdicts_at_run_time(sandbox: Sandbox, body: str, verdict: str) -> None:
    code = f"#include <bits/stdc++.h>\nint main() {{ {body} }}\n"
    result = run(sandbox, code, limits={"time_s": 0.5, "memory_mb": 64, "output_kb": 64})
    assert result.verdict == verdict


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("std::function<int(int)> f = [&](int n) { return n ? 1 + f(n - 1) : 0; }; std::cout << f(400000);", "400000"),
        ("std::thread t([] { std::cout << 1; }); t.join();", "1"),
        ("std::cout << std::async(std::launch::async, [] { return 7; }).get();", "7"),
        ("__int128 x = 1; x <<= 100; std::cout << (long long)(x >> 98);", "4"),
        ("std::cout << std::setprecision(12) << std::acos(-1.0L);", "3.14159265359"),
        ('\n#ifdef ONLINE_JUDGE\nstd::cout << 1;\n#else\nfreopen("input.txt", "r", stdin);\n#endif\n', "1"),
        ("try { throw 5; } catch (int x) { std::cout << x; }", "5"),
        ("std::vector<int> v(30000000, 1); std::cout << v.back();", "1"),
        ("std::string s(3000000, 'x'); std::cout << s;", "x" * 3000000),
        (
            'FILE* f = fopen("own.txt", "w+"); fputs("kept", f); rewind(f); char b[9]; std::cout << fgets(b, 9, f);',
            "kept",
        ),
        ('std::regex r("a+b"); std::cout << std::regex_match("aaab", r);', "1"),
        ('std::locale::global(std::locale("C")); std::cout << u8"\\u00fc";', "\u00fc"),
    ],
)
def test_honest_programs_are_accepted(sandbox: Sandbox, body: str, output: str) -> None:
    result = run(sandbox, f"#include <bits/stdc++.h>\nint main() {{ {body} }}\n")
    assert (result.verdict, result.stdout) == ("accepted", output), result.message


@pytest.mark.parametrize("mode", ["call", "unit"])
def test_other_modes_are_refused_with_the_way_out(sandbox: Sandbox, mode: str) -> None:
    tests = {"entry_point": "f", "cases": [{}]} if mode == "call" else {"framework": "asserts", "test_code": "x"}
    result = run(sandbox, ADD, mode=mode, tests=tests)
    assert result.verdict == "refused"
    assert "use run or judge" in result.message


def test_sources_that_are_not_valid_text(sandbox: Sandbox) -> None:
    assert run(sandbox, "int main() { return '\x00' != 0; }").verdict in ("accepted", "compile_error")
    assert run(sandbox, "// \udce9\n" + ADD, options={"stdin": "1 1"}).stdout == "2\n"
    assert run(sandbox, "\ud800").verdict == "compile_error"
    assert run(sandbox, "").verdict == "compile_error"


def test_the_precompiled_header_made_in_the_sandbox_is_used_by_the_compiler(sandbox: Sandbox, tmp_path: Path) -> None:
    assert run(sandbox, ADD, options={"stdin": "1 1"}).verdict == "accepted"
    language = Cpp()
    flags = language.flags("c++17")
    header = language.header_folder(flags)
    if header is None:
        pytest.skip("this user has no folder to keep the header in")
    source = tmp_path / "main.cpp"
    source.write_text(ADD)
    command = [language.compiler, *flags, "-I", str(header), "-H", "-fsyntax-only", str(source)]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    assert seen[0] == f"! {header}/bits/stdc++.h.gch"


def test_the_cache_holds_what_was_put_and_forgets_what_was_used_longest_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.languages import host

    monkeypatch.setenv("RINGLITE_CACHE", str(tmp_path))
    host.cache_folder.cache_clear()
    try:
        cache = CompileCache("test", memory_bytes=3000)
        keys = [cache_key("test", number) for number in range(4)]
        for number, key in enumerate(keys):
            cache.put(key, {"program": bytes([number]) * 1000, "empty": b""})
        fresh = CompileCache("test")
        for number, key in enumerate(keys):
            assert cache.get(key) == fresh.get(key) == {"program": bytes([number]) * 1000, "empty": b""}
        path = tmp_path / "sandbox" / "test" / keys[0]
        path.write_bytes(path.read_bytes()[:-500] + b"x" * 500)
        assert CompileCache("test").get(keys[0]) is None
        assert CompileCache("test").get(cache_key("other")) is None
        (tmp_path / "sandbox" / "test" / keys[1]).replace(tmp_path / "sandbox" / "test" / keys[2])
        assert CompileCache("test").get(keys[2]) is None
        (tmp_path / "sandbox").chmod(0o777)
        host.cache_folder.cache_clear()
        assert host.cache_folder() != tmp_path / "sandbox"
    finally:
        host.cache_folder.cache_clear()


def test_the_cache_key_separates_every_part() -> None:
    keys = {
        cache_key(*parts) for parts in (("a", "b"), ("ab",), ("a", b"b"), ("b", "a"), (["a", "b"],), ("a", "b", ""))
    }
    assert len(keys) == 6
