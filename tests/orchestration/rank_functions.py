"""What ranks do in tests of a launcher. Importable: Ray's workers read functions by name."""

import json
import os
import signal
import time


def add_up(out, driver):
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    total = torch.tensor(int(os.environ["RANK"]) + 1)
    dist.all_reduce(total)
    seen = {name: os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    (out / f"rank_{seen['RANK']}.json").write_text(json.dumps({**seen, "total": total.item()}))
    if seen["RANK"] == "0":
        os.kill(driver, signal.SIGTERM)
    dist.destroy_process_group()


def fail_in_rank_1(how, out):
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    (out / f"started_{os.environ['RANK']}").touch()
    if os.environ["RANK"] == "1":
        how()
    dist.all_reduce(torch.zeros(1))  # rank 0 waits for rank 1


def say_no():
    raise ArithmeticError("no")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def sleep():
    time.sleep(600)
