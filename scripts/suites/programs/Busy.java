import java.net.ServerSocket;
import java.net.Socket;
import java.net.InetAddress;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.*;

/** Threads, locks, garbage, exceptions from null and from the stack's end, sockets, and hot loops. */
public class Busy {
    record Node(Node next, byte[] body) {}

    static long garbage() {
        Node kept = null;
        long sum = 0;
        for (int i = 0; i < 300_000; i++) {
            Node node = new Node(i % 100 == 0 ? kept : null, new byte[i % 512]);
            if (i % 100 == 0) kept = i % 10_000 == 0 ? null : node;
            sum += node.body().length;
        }
        return sum;
    }

    static int depth(int n) { return depth(n + 1) + 1; }

    static int lengthOf(String text) { return text.length(); }

    static String faults() {
        int nulls = 0;
        String[] texts = {"a", null, "bc"};
        for (int i = 0; i < 30_000; i++) {
            try {
                lengthOf(texts[i % 3]);
            } catch (NullPointerException e) {
                nulls++;
            }
        }
        try {
            depth(0);
        } catch (StackOverflowError e) {
            return nulls + " nulls, stack overflow";
        }
        return "no overflow";
    }

    static long threads() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        AtomicLong total = new AtomicLong();
        Object lock = new Object();
        long[] locked = new long[1];
        List<Future<Long>> results = new ArrayList<>();
        for (int task = 0; task < 32; task++) {
            final int number = task;
            results.add(pool.submit(() -> {
                for (int i = 0; i < 2000; i++) {
                    total.incrementAndGet();
                    synchronized (lock) { locked[0] += number; }
                }
                return garbage();
            }));
        }
        long sum = 0;
        for (Future<Long> result : results) sum += result.get();
        pool.shutdown();
        return sum + total.get() + locked[0];
    }

    static int sockets() throws Exception {
        try (ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            Thread echo = new Thread(() -> {
                try (Socket socket = server.accept()) {
                    socket.getInputStream().transferTo(socket.getOutputStream());
                } catch (Exception e) {
                    e.printStackTrace();
                }
            });
            echo.start();
            int right = 0;
            try (Socket socket = new Socket(server.getInetAddress(), server.getLocalPort())) {
                for (int i = 1; i < 300; i++) {
                    byte[] message = new byte[i];
                    Arrays.fill(message, (byte) i);
                    socket.getOutputStream().write(message);
                    if (Arrays.equals(socket.getInputStream().readNBytes(i), message)) right++;
                }
                socket.shutdownOutput();
            }
            echo.join();
            return right;
        }
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println(threads());
        System.out.println(faults());
        System.out.println(sockets());
        System.out.println(IntStream.range(0, 2_000_000).parallel().filter(i -> i % 7 == 3).mapToLong(i -> (long) i * i).sum());
        System.out.println(Stream.of("x", "yy", "zzz").collect(Collectors.toMap(s -> s, String::length)));
        double d = 0;
        for (int i = 1; i < 20_000_000; i++) d += Math.sqrt(i) / i;
        System.out.printf("%.6f%n", d);
    }
}
