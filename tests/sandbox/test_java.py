"""Java: class layouts, verdicts, memory and threads of the JVM, and a warm compiler that keeps jobs apart."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.job import Job, Result
from sandbox.languages.java import Java

MAIN = "public class Main {{ public static void main(String[] args) throws Exception {{ {} }} }}"

pytestmark = pytest.mark.skipif(Java().available() is not None, reason="this host has no JDK")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as started:
        yield started


def run(sandbox: Sandbox, code: str, **fields: Any) -> Result:
    return sandbox.execute(Job.model_validate({"language": "java", "code": code, **fields}))


def test_judging_takes_stdin_and_compares_stdout(sandbox: Sandbox) -> None:
    code = "import java.util.*;" + MAIN.format(
        "Scanner s = new Scanner(System.in); System.out.println(s.nextInt() + s.nextInt());"
    )
    tests = [{"stdin": "1 2", "expected": "3"}, {"stdin": "5 5", "expected": "11"}]
    result = run(sandbox, code, mode="judge", tests=tests)
    assert [case.verdict for case in result.cases] == ["accepted", "wrong_answer"]
    assert result.isolation.startswith("full (")


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("public class Solution { public static void main(String[] a) { System.out.print(1); } }", "1"),
        ("class Helper { static int f() { return 2; } } public class Any { public static void main(String[] a) "
         "{ System.out.print(Helper.f()); } } class After {}", "2"),
        ("public class A { } class B { public static void main(String... a) { System.out.print(3); } }", "3"),
        ("class B { public static void main(String[] a) { System.out.print(0); } } "
         "public class C { public static void main(String[] a) { System.out.print(4); } }", "4"),
        ("public class A { } public class B { public static void main(String[] a) { System.out.print(5); } }", "5"),
        ("package deep.er; public class P { public static void main(String[] a) { System.out.print(6); } }", "6"),
        ("interface I { static void main(String[] a) { System.out.print(7); } }", "7"),
        ("enum E { X; public static void main(String[] a) { System.out.print(X); } }", "X"),
        ("record R(int x) { public static void main(String[] a) { System.out.print(new R(8)); } }", "R[x=8]"),
        ("class Outer { static class In { public static void main(String[] a) { System.out.print(9); } } }", "9"),
        ("class \u00dcber { public static void main(String[] a) { System.out.print(\"\u00fc\u4e2d\U0001f600\"); } }",
         "\u00fc\u4e2d\U0001f600"),
        ("class String { } class M { public static void main(java.lang.String[] a) { System.out.print(10); } }", "10"),
        ("class Base { public static void main(String[] a) { System.out.print(11); } } public class Main extends Base {}",
         "11"),
    ],
)  # fmt: skip
def test_class_layouts(sandbox: Sandbox, code: str, output: str) -> None:
    result = run(sandbox, code)
    assert (result.verdict, result.stdout) == ("accepted", output), result.message + result.stderr


def test_compile_errors_name_the_line(sandbox: Sandbox) -> None:
    result = run(sandbox, "public class Main {\n  int x = missing;\n  int y = ;\n}\n")
    assert result.verdict == "compile_error"
    assert "line 3: error:" in result.message + result.stderr
    assert run(sandbox, "public class Main {}").verdict == "compile_error"
    assert "no class has a method" in run(sandbox, "public class Main {}").message
    assert run(sandbox, "").verdict == "compile_error"
    assert run(sandbox, "\ud800").verdict == "compile_error"


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("System.exit(3);", "runtime_error"),
        ("throw new IllegalStateException();", "runtime_error"),
        ("int[] a = new int[1]; a[1] = 0;", "runtime_error"),
        ("main(args);", "runtime_error"),
        ("while (true) {}", "time_limit"),
        (
            "java.util.List<int[]> all = new java.util.ArrayList<>(); while (true) all.add(new int[1 << 18]);",
            "memory_limit",
        ),
        ('while (true) System.out.println("output without end");', "output_limit"),
    ],
)
def test_verdicts_at_run_time(sandbox: Sandbox, body: str, verdict: str) -> None:
    result = run(sandbox, MAIN.format(body), limits={"time_s": 2, "memory_mb": 256, "output_kb": 64})
    assert result.verdict == verdict, result.message + result.stderr


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("Thread t = new Thread(null, () -> System.out.print(f(500000)), \"deep\", 1 << 28); t.start(); t.join();", "500000"),
        ("System.out.print(f(20000));", "20000"),
        ("int[] a = new int[60_000_000]; a[59_999_999] = 7; System.out.print(a[59_999_999]);", "7"),
        ("long n = 0; for (int i = 0; i < 3000; i++) n += new byte[1 << 20].length; System.out.print(n >> 20);", "3000"),
        ("System.out.print(java.util.stream.IntStream.range(0, 1000).parallel().sum());", "499500"),
        ("var e = java.util.concurrent.Executors.newFixedThreadPool(40); var l = new java.util.concurrent.CountDownLatch(40);"
         "for (int i = 0; i < 40; i++) e.submit(() -> { l.countDown(); l.await(); return 0; }); l.await(); e.shutdown();"
         "System.out.print(40);", "40"),
        ("System.out.print(java.util.concurrent.CompletableFuture.supplyAsync(() -> 5).get());", "5"),
        ("var p = java.nio.file.Path.of(\"own.txt\"); java.nio.file.Files.writeString(p, \"kept\");"
         "System.out.print(java.nio.file.Files.readString(p));", "kept"),
        ("System.out.print(System.in.available());", "0"),
        ("System.out.printf(\"%.3f\", 1.5); System.out.print(String.format(\"%,d\", 12345));", "1.50012,345"),
    ],
)  # fmt: skip
def test_honest_programs_are_accepted(sandbox: Sandbox, body: str, output: str) -> None:
    code = MAIN.format(body)[:-1] + "static int f(int n) { return n == 0 ? 0 : 1 + f(n - 1); } }"
    result = run(sandbox, code)
    assert (result.verdict, result.stdout) == ("accepted", output), result.message + result.stderr


def test_arguments_and_standard_input(sandbox: Sandbox) -> None:
    code = MAIN.format('System.out.print(String.join("|", args) + new String(System.in.readAllBytes()));')
    result = run(sandbox, code, options={"args": ["a", "b c", "-version"], "stdin": "in\n"})
    assert result.stdout == "a|b c|-versionin\n"


def test_one_compilation_sees_nothing_of_another(sandbox: Sandbox) -> None:
    helper = "class Leftover { static int secret = 1; } " + MAIN.format("System.out.print(Leftover.secret);")
    assert run(sandbox, helper).verdict == "accepted"
    assert run(sandbox, MAIN.format("System.out.print(Leftover.secret); int x;")).verdict == "compile_error"
    shadow = "package java.util; public class ArrayList { public static void main(String[] a) {} }"
    assert run(sandbox, shadow).verdict in ("compile_error", "runtime_error")
    after = MAIN.format("var l = new java.util.ArrayList<Integer>(); l.add(1); System.out.print(l);")
    assert run(sandbox, after).stdout == "[1]"


def test_no_class_of_a_job_is_loaded_by_the_compiler(sandbox: Sandbox) -> None:
    """An annotation processor, named and in the same source, is compiled like any class and never run."""
    code = """
        import java.util.*; import javax.annotation.processing.*; import javax.lang.model.element.*;
        @SupportedAnnotationTypes("*")
        public class Main extends AbstractProcessor {
            static { System.err.println("loaded"); }
            public boolean process(Set<? extends TypeElement> t, RoundEnvironment r) {
                processingEnv.getMessager().printMessage(javax.tools.Diagnostic.Kind.ERROR, "processor ran");
                return true;
            }
            public static void main(String[] a) { System.out.print("main"); }
        }"""
    result = run(sandbox, code)
    assert (result.verdict, result.stdout, result.stderr) == ("accepted", "main", "loaded\n")


@pytest.mark.parametrize("name", ["deep", "constants", "wide"])
def test_bombs_for_the_compiler_end_in_compile_error_and_the_next_job_compiles(sandbox: Sandbox, name: str) -> None:
    doubling = "".join(f"static final String S{n + 1} = S{n} + S{n} + S{n} + S{n};\n" for n in range(20))
    bombs = {
        "deep": MAIN.format("int x = " + "(" * 200_000 + "1" + ")" * 200_000 + ";"),
        "constants": f'class Main {{ static final String S0 = "{"x" * 1000}";\n{doubling} }}',
        "wide": MAIN.format("int x = 0;" + "x += 1;" * 200_000),
    }
    result = run(sandbox, bombs[name], compile_limits={"time_s": 10, "memory_mb": 512})
    assert result.verdict == "compile_error", result
    assert run(sandbox, MAIN.format(f'System.out.print("{name}");')).stdout == name


@pytest.mark.parametrize("mode", ["call", "unit"])
def test_other_modes_are_refused_with_the_way_out(sandbox: Sandbox, mode: str) -> None:
    tests = {"entry_point": "f", "cases": [{}]} if mode == "call" else {"framework": "asserts", "test_code": "x"}
    result = run(sandbox, MAIN.format(""), mode=mode, tests=tests)
    assert result.verdict == "refused"
    assert "use run or judge" in result.message
