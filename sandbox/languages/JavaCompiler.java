import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.util.JavacTask;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.lang.model.element.Element;
import javax.lang.model.element.ElementKind;
import javax.lang.model.element.ExecutableElement;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.TypeElement;
import javax.lang.model.type.TypeKind;
import javax.lang.model.util.ElementFilter;
import javax.lang.model.util.Elements;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler.CompilationTask;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

/**
 * A compiler that stays warm: reads a frame with Java source, answers with a frame that holds a jar or the errors.
 *
 * <p>Frame: length (4 bytes, big-endian) and that many bytes. Answer: one byte 1 (compiled) or 0, then length and UTF-8 text of
 * the main class or of the errors, then the jar. Every request gets a compiler context of its own; what is shared is only the
 * table of the platform's classes. No class of a request is ever loaded here, and no annotation processor is run.
 */
public final class JavaCompiler {
    private static final int MAX_DIAGNOSTICS = 20;
    private static final long STACK_BYTES = 64L << 20;
    private static final String TOO_DEEP = "error: the source is nested too deeply for the compiler";
    private static final List<String> OPTIONS =
            List.of("-proc:none", "-Xlint:none", "-nowarn", "-implicit:none", "-encoding", "UTF-8", "-g:source,lines");

    private static final javax.tools.JavaCompiler JAVAC = ToolProvider.getSystemJavaCompiler();
    private static final StandardJavaFileManager PLATFORM =
            JAVAC.getStandardFileManager(null, Locale.ROOT, StandardCharsets.UTF_8);

    private JavaCompiler() {}

    public static void main(String[] arguments) throws Exception {
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        PLATFORM.setLocation(StandardLocation.CLASS_PATH, List.of());
        PLATFORM.setLocation(StandardLocation.SOURCE_PATH, List.of());
        for (int round = 0; round < 3; round++) {
            answer(WARM_UP);
        }
        while (true) {
            int length;
            try {
                length = in.readInt();
            } catch (EOFException end) {
                return;
            }
            byte[] source = new byte[length];
            in.readFully(source);
            byte[] reply = onDeepStack(new String(source, StandardCharsets.UTF_8));
            out.writeInt(reply.length);
            out.write(reply);
            out.flush();
        }
    }

    /** Nested expressions recurse in javac, so each request gets a deep stack; its overflow is the source's fault. */
    private static byte[] onDeepStack(String source) throws InterruptedException {
        byte[][] reply = new byte[1][];
        Runnable work = () -> {
            try {
                reply[0] = answer(source);
            } catch (StackOverflowError error) {
                reply[0] = reply(false, TOO_DEEP, new byte[0]);
            } catch (IOException | RuntimeException error) {
                boolean deep = error.getCause() instanceof StackOverflowError;
                reply[0] = reply(false, deep ? TOO_DEEP : "error: the compiler failed: " + error, new byte[0]);
            }
        };
        Thread thread = new Thread(null, work, "compile", STACK_BYTES);
        thread.start();
        thread.join();
        return reply[0];
    }

    private static byte[] answer(String source) throws IOException {
        DiagnosticCollector<JavaFileObject> diagnostics = new DiagnosticCollector<>();
        StringWriter rest = new StringWriter();
        Output output = new Output(PLATFORM);
        CompilationTask task =
                JAVAC.getTask(rest, output, diagnostics, OPTIONS, null, List.of(new Source(source)));
        JavacTask javac = (JavacTask) task;
        List<TypeElement> types = new ArrayList<>();
        Iterable<? extends CompilationUnitTree> units = javac.parse();
        boolean good = units.iterator().hasNext() && !hasErrors(diagnostics);
        if (good) {
            for (Element element : javac.analyze()) {
                if (element instanceof TypeElement type) {
                    types.add(type);
                }
            }
            good = !hasErrors(diagnostics);
        }
        String main = null;
        if (good) {
            main = findMain(types, javac.getElements());
            javac.generate();
            good = !hasErrors(diagnostics);
        }
        if (!good) {
            return reply(false, describe(diagnostics, rest.toString()), new byte[0]);
        }
        if (main == null) {
            return reply(false, "error: no class has a method 'public static void main(String[])'", new byte[0]);
        }
        return reply(true, main, output.jar());
    }

    private static boolean hasErrors(DiagnosticCollector<JavaFileObject> diagnostics) {
        return diagnostics.getDiagnostics().stream().anyMatch(d -> d.getKind() == Diagnostic.Kind.ERROR);
    }

    private static String describe(DiagnosticCollector<JavaFileObject> diagnostics, String rest) {
        StringBuilder text = new StringBuilder();
        int count = 0;
        for (Diagnostic<? extends JavaFileObject> found : diagnostics.getDiagnostics()) {
            if (found.getKind() == Diagnostic.Kind.ERROR && ++count <= MAX_DIAGNOSTICS) {
                text.append("line ").append(found.getLineNumber()).append(": error: ");
                text.append(found.getMessage(Locale.ROOT)).append('\n');
            }
        }
        if (count > MAX_DIAGNOSTICS) {
            text.append("and ").append(count - MAX_DIAGNOSTICS).append(" more errors\n");
        }
        return text.length() > 0 ? text.toString() : "the compiler failed\n" + rest;
    }

    /** The class to start: a public one with a main method before others, outer before nested ones, then source order. */
    private static String findMain(List<TypeElement> types, Elements elements) {
        List<TypeElement> all = new ArrayList<>(types);
        for (int index = 0; index < all.size(); index++) {
            for (TypeElement inner : ElementFilter.typesIn(all.get(index).getEnclosedElements())) {
                if (!all.contains(inner)) {
                    all.add(inner);
                }
            }
        }
        TypeElement best = null;
        int bestRank = Integer.MAX_VALUE;
        for (TypeElement type : all) {
            int rank = (type.getNestingKind().isNested() ? 2 : 0) + (type.getModifiers().contains(Modifier.PUBLIC) ? 0 : 1);
            if (rank < bestRank && hasMain(type, elements)) {
                best = type;
                bestRank = rank;
            }
        }
        return best == null ? null : elements.getBinaryName(best).toString();
    }

    private static boolean hasMain(TypeElement type, Elements elements) {
        if (type.getKind() == ElementKind.ANNOTATION_TYPE) {
            return false;
        }
        for (ExecutableElement method : ElementFilter.methodsIn(elements.getAllMembers(type))) {
            if (method.getSimpleName().contentEquals("main")
                    && method.getModifiers().contains(Modifier.PUBLIC)
                    && method.getModifiers().contains(Modifier.STATIC)
                    && method.getReturnType().getKind() == TypeKind.VOID
                    && method.getParameters().size() == 1
                    && method.getParameters().get(0).asType().toString().equals("java.lang.String[]")) {
                return true;
            }
        }
        return false;
    }

    private static byte[] reply(boolean compiled, String text, byte[] jar) {
        byte[] words = text.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(words.length + jar.length + 5);
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeByte(compiled ? 1 : 0);
            out.writeInt(words.length);
            out.write(words);
            out.write(jar);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
        return bytes.toByteArray();
    }

    /** The source in memory, under any name: a public class need not match the file. */
    private static final class Source extends SimpleJavaFileObject {
        private final String text;

        Source(String text) {
            super(URI.create("string:///Main.java"), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return kind == Kind.SOURCE;
        }
    }

    /** A class in memory. */
    private static final class ClassFile extends SimpleJavaFileObject {
        private final OutputStream bytes;

        ClassFile(Kind kind, OutputStream bytes) {
            super(URI.create("mem:///class"), kind);
            this.bytes = bytes;
        }

        @Override
        public OutputStream openOutputStream() {
            return bytes;
        }
    }

    /** Keeps the classes of one compilation in memory and lets it see the platform's classes only. */
    private static final class Output extends ForwardingJavaFileManager<JavaFileManager> {
        private final Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();

        Output(JavaFileManager platform) {
            super(platform);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(Location location, String name, JavaFileObject.Kind kind, FileObject by) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            classes.put(name, bytes);
            return new ClassFile(kind, bytes);
        }

        @Override
        public FileObject getFileForOutput(Location location, String packageName, String name, FileObject by)
                throws IOException {
            throw new IOException("no files but classes are written");
        }

        @Override
        public void close() {
            // The platform's file manager outlives the compilation.
        }

        byte[] jar() throws IOException {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            try (ZipOutputStream zip = new ZipOutputStream(bytes, StandardCharsets.UTF_8)) {
                zip.setMethod(ZipOutputStream.STORED);
                for (Map.Entry<String, ByteArrayOutputStream> one : classes.entrySet()) {
                    byte[] content = one.getValue().toByteArray();
                    CRC32 sum = new CRC32();
                    sum.update(content);
                    ZipEntry entry = new ZipEntry(one.getKey().replace('.', '/') + ".class");
                    entry.setSize(content.length);
                    entry.setCrc(sum.getValue());
                    entry.setTime(0);
                    zip.putNextEntry(entry);
                    zip.write(content);
                    zip.closeEntry();
                }
            }
            return bytes.toByteArray();
        }
    }

    private static final String WARM_UP =
            """
            import java.io.*;
            import java.util.*;
            import java.util.function.*;
            import java.util.stream.*;

            public class Warm {
                record Edge(int from, int to, long weight) implements Comparable<Edge> {
                    public int compareTo(Edge other) { return Long.compare(weight, other.weight); }
                }
                enum Kind { A, B; Kind next() { return values()[(ordinal() + 1) % values().length]; } }
                interface Shape { double area(); }
                static <T extends Comparable<T>> T best(List<? extends T> all) {
                    T found = null;
                    for (T one : all) if (found == null || one.compareTo(found) > 0) found = one;
                    return found;
                }
                public static void main(String[] args) throws IOException {
                    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
                    StringTokenizer words = new StringTokenizer(in.readLine());
                    int n = Integer.parseInt(words.nextToken());
                    Map<Integer, List<Edge>> graph = new HashMap<>();
                    PriorityQueue<Edge> queue = new PriorityQueue<>(Comparator.comparingLong(e -> -e.weight()));
                    for (int i = 0; i < n; i++) {
                        graph.computeIfAbsent(i % 7, k -> new ArrayList<>()).add(new Edge(i, i + 1, i * 31L % 17));
                        queue.addAll(graph.get(i % 7));
                    }
                    long[][] table = new long[n + 1][n + 1];
                    switch (Kind.A.next()) { case A: table[0][0] = 1; break; default: table[0][0]++; }
                    Function<Integer, Shape> make = r -> () -> r * r * Math.PI;
                    String text = IntStream.range(0, n).mapToObj(i -> "v" + i).collect(Collectors.joining(","));
                    StringBuilder out = new StringBuilder(text).append(best(List.of(1, 2, 3))).append(make.apply(2).area());
                    try { System.out.printf("%s %d%n", out, queue.size()); } catch (RuntimeException e) { throw e; }
                }
            }
            """;
}
