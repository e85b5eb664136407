# SPDX-License-Identifier: Apache-2.0
"""How long torch.distributed's all_reduce takes with gloo: sums_gloo.py N BYTES...

What build/tests/sums_rate measures, in the same way; bench/sums runs both in turn.
"""

import os
import resource
import socket
import statistics
import subprocess
import sys
import time


def measure(rank, count, sizes):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=count)
    for size in sizes:
        data = torch.zeros(size // 4)
        times = max(8, min(500, (256 << 20) // size))
        seconds = []
        before = resource.getrusage(resource.RUSAGE_SELF)
        for k in range(-3, times):
            start = time.perf_counter()
            dist.all_reduce(data)
            if k >= 0:
                seconds.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cpu = 1e6 * spent / (times + 3)
        median = statistics.median(seconds)
        if rank == 0:
            rate = 2 * (count - 1) / count * size / median / 1e9
            taken = f"{1e6 * median:12.1f} us  {rate:7.3f} GB/s  {cpu:10.1f} us of CPU"
            print(f"{'gloo':12} {count} processes {size:10} bytes {taken}", flush=True)
    dist.destroy_process_group()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    count, sizes = int(sys.argv[1]), [int(size) for size in sys.argv[2:]]
    if "RANK" in os.environ:
        return measure(int(os.environ["RANK"]), count, sizes)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    started = [subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, **where, "RANK": str(r)}) for r in range(count)]
    sys.exit(max(process.wait() for process in started))


main()
