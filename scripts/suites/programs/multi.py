"""multiprocessing by every start method: pools, queues, locks, shared memory, a manager, and a killed worker."""
import multiprocessing
import os
import signal
from multiprocessing import shared_memory


def square(n):
    return n * n


def count(lock, value):
    for _ in range(200):
        with lock:
            value.value += 1


def fill(name, start):
    memory = shared_memory.SharedMemory(name)
    for i in range(start, start + 1000):
        memory.buf[i] = i % 251
    memory.close()


def put(queue, number):
    for i in range(50):
        queue.put((number, "x" * i * 100))


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def all_joined(processes):
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def exercise(method):
    context = multiprocessing.get_context(method)
    with context.Pool(4) as pool:
        print(method, sum(pool.map(square, range(1000))), pool.apply(square, (12,)))
        print(sorted(pool.imap_unordered(square, range(10))))
    lock, value = context.Lock(), context.RawValue("i", 0)
    all_joined([context.Process(target=count, args=(lock, value)) for _ in range(4)])
    print("counted", value.value)
    memory = shared_memory.SharedMemory(create=True, size=4000)
    all_joined([context.Process(target=fill, args=(memory.name, 1000 * i)) for i in range(4)])
    print("shared", sum(memory.buf[:4000]))
    memory.close()
    memory.unlink()
    queue = context.Queue()
    writers = [context.Process(target=put, args=(queue, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    print("queued", sum(len(queue.get()[1]) for _ in range(150)))
    for writer in writers:
        writer.join()
    victim = context.Process(target=die)
    all_joined([victim])
    print("killed", victim.exitcode)
    with context.Manager() as manager:
        shared = manager.dict()
        shared["a"] = manager.list([1, 2])
        shared["a"].append(3)
        print(list(shared["a"]))


if __name__ == "__main__":
    for each in ("fork", "spawn", "forkserver"):
        exercise(each)
