"""`didymos`: one command for owners, sites, buyers, operators and verifiers. platform.md section 13.

Only typer is imported here: what a command needs is imported inside it, so that `--help` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from didymos_cli import (
    device_commands,
    owner_commands,
    profile_commands,
    run_commands,
    site_commands,
    wallet_commands,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Digital twins that their owners control. Results go to stdout, progress to stderr.",
)
app.add_typer(wallet_commands.app, name="wallet")
app.add_typer(owner_commands.app, name="twin")
app.add_typer(device_commands.app, name="device")
app.add_typer(site_commands.app, name="site")
app.add_typer(run_commands.app, name="runs")
app.add_typer(profile_commands.app, name="profiles")
FilePath = Annotated[Path, typer.Option(dir_okay=False, help="C2SP policy: which logs and witnesses are believed.")]
OrgsPath = Annotated[Path, typer.Option(dir_okay=False, help="Organisations: their DIDs and the logs they keep.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(dir_okay=False, help="The proof bundle.")],
    policy: FilePath,
    orgs: OrgsPath,
    json: AsJson = False,  # noqa: FBT002 - a flag of the command line
    at: Annotated[str, typer.Option(help="Judge as of this time, such as 2026-11-23T12:00:00Z; else now.")] = "",
) -> None:
    """Check a proof bundle with no network and no service. Exit 0 valid, 1 invalid, 2 unreadable, 3 below policy."""
    from didymos_cli.verify import verify_files

    raise typer.Exit(verify_files(bundle, policy, orgs, at=at, as_json=json))


@app.command()
def up(
    data: Annotated[Path, typer.Option(file_okay=False, help="Where everything is kept.")] = Path(".didymos"),
    servers: Annotated[bool, typer.Option(help="On Kafka, PostgreSQL and Redis: DIDYMOS_KAFKA_URL and so on.")] = False,  # noqa: FBT002 - a flag
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of REST.")] = 8080,
    grpc_port: Annotated[int, typer.Option(min=1, max=65535, help="Of gRPC.")] = 50051,
    admin_port: Annotated[int, typer.Option(min=1, max=65535, help="Of health and metrics.")] = 8081,
) -> None:
    """Run every service in one process, until a signal. Without --servers nothing else is needed."""
    from didymos_kit.lifecycle import Listen

    from didymos_cli.up import up as run

    raise typer.Exit(run(data, Listen(host, port, grpc_port, admin_port), servers=servers))


@app.command()
def demo(
    json: AsJson = False,  # noqa: FBT002 - a flag of the command line
    seed: Annotated[int, typer.Option(help="Keys and training derive from it: same seed, same figures.")] = 7,
    folder: Annotated[Path, typer.Option(file_okay=False, help="For report.html, proofs and logs.")] = Path(
        "build/demo"
    ),
    data: Annotated[Path | None, typer.Option(file_okay=False, help="Other readings than those of this tree.")] = None,
    people: Annotated[
        int | None, typer.Option(min=13, max=1000, help="Only the first so many: masks want five sites.")
    ] = None,
    servers: Annotated[bool, typer.Option("--servers", help="On empty Kafka, PostgreSQL and Redis.")] = False,  # noqa: FBT002 - a flag
    house: Annotated[
        Path | None, typer.Option(dir_okay=False, help="In the house of this card, which runs; DIDYMOS_SECRET is its.")
    ] = None,
) -> None:
    """Play the main job on real data, from keys to proofs, and write report.html. About two minutes."""
    from didymos_cli.demo.story import DATA, Place, run

    place = Place(folder, servers=servers, running=house)
    raise typer.Exit(run(place, data or DATA, seed, people, as_json=json))


@app.command()
def status(
    house: Annotated[Path, typer.Option(dir_okay=False, help="The card of the house.")] = Path(".didymos/house.json"),
    wait: Annotated[float, typer.Option(min=0, max=600, help="Seconds to wait until it answers.")] = 0,
    admin: Annotated[list[str] | None, typer.Option(help="An admin port, as http://host:8081: what it says.")] = None,
    json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Whether a house answers, or what its processes say. Exit 0 well, 1 a process is not ready, 4 no answer."""
    from didymos_cli.status import ask, tell

    raise typer.Exit(tell(admin, as_json=json) if admin else ask(house, wait))


@app.command()
def doctor(json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """What this machine lacks, each finding with its fix. Exit 0 nothing, 1 something."""
    from didymos_cli.doctor import tell

    raise typer.Exit(tell(as_json=json))


@app.command()
def settings(json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Every setting by its environment name, with the value in force; secrets as ***."""
    from didymos_cli.doctor import show_settings

    raise typer.Exit(show_settings(as_json=json))


@app.command()
def migrate(
    services: Annotated[list[str] | None, typer.Argument(help="Else all that are installed.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that PostgreSQL may be away.")] = 0,
) -> None:
    """Bring the schemas of all services to head; those that are ahead stay so. Exit 0 done, 1 a step failed, 4 away."""
    from didymos_kit.jobs import main as run

    raise typer.Exit(run(["migrate", *(services or ()), "--wait", str(wait)]))


@app.command()
def topics(wait: Annotated[float, typer.Option(min=0, help="Seconds that Kafka may be away.")] = 0) -> None:
    """Make the topics of the catalogue that are missing. Exit 0 done, 1 one is there with other partitions, 4 away."""
    from didymos_kit.jobs import main as run

    raise typer.Exit(run(["topics", "--wait", str(wait)]))


@app.command()
def secret(
    file: Annotated[Path | None, typer.Option(dir_okay=False, help="Keep it there, unless there is one.")] = None,
) -> None:
    """Make the secret of a house, from which the keys of its services come: 32 bytes in hexadecimal."""
    from didymos_kit.jobs import main as run

    raise typer.Exit(run(["secret", *(["--file", str(file)] if file else [])]))


def main() -> None:
    """The entry point. Exit 0 done, 1 failed, 2 usage, 3 refused, 4 a dependency is away."""
    try:
        app()
    except Exception as raised:
        from didymos_kit.errors import exit_code, problem_of

        error = _first(raised)
        if not _expected(error):
            raise
        problem = problem_of(error)
        sys.stderr.write(f"{problem}\n")
        raise SystemExit(exit_code(problem)) from None


def _first(error: Exception) -> Exception:
    """What went wrong, out of the groups that tasks put around it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _expected(error: Exception) -> bool:
    """Whether the error catalogue has words for it: all else is our bug, and shows where it came from."""
    return hasattr(error, "row") or isinstance(getattr(error, "code", None), str) or isinstance(error, OSError)


if __name__ == "__main__":
    main()
