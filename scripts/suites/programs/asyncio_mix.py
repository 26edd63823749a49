"""asyncio: streams, children, timers, executors, signals and cancellation in one loop."""
import asyncio
import os
import signal
import sys


async def echo(reader, writer):
    while data := await reader.read(4096):
        writer.write(data[::-1])
        await writer.drain()
    writer.close()


async def talk(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    good = 0
    for i in range(100):
        message = f"{number}-{i}-".encode() * 20
        writer.write(message)
        good += await reader.readexactly(len(message)) == message[::-1]
    writer.close()
    await writer.wait_closed()
    return good


async def child(number):
    program = f"import sys; data = sys.stdin.read(); print(len(data) * {number}); sys.exit({number})"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate(b"x" * 100000)
    return output.decode().strip(), process.returncode


async def cancelled():
    task = asyncio.create_task(asyncio.sleep(1000))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"


async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(sum(await asyncio.gather(*(talk(port, number) for number in range(20)))))
    print(await asyncio.gather(*(child(number) for number in range(6))))
    print(sorted(await asyncio.gather(*(loop.run_in_executor(None, pow, 3, n, 1000) for n in range(50))))[:5])
    received = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, received.put_nowait, "SIGUSR1")
    for _ in range(20):
        os.kill(os.getpid(), signal.SIGUSR1)
        await received.get()
    print("20 signals", await cancelled())
    try:
        await asyncio.wait_for(asyncio.sleep(1000), 0.01)
    except asyncio.TimeoutError:
        print("timeout")
    server.close()
    await server.wait_closed()


asyncio.run(main())
