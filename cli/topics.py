"""`rewatch topics`: makes the topics that everything else relies on."""

import typer

from cli.reach import reached
from runtime.kafka import create_topics
from schemas.topics import TOPICS

app = typer.Typer(no_args_is_help=True, help="Kafka topics: create what is missing, list what there shall be.")


@app.command()
def create() -> None:
    """Create the topics that are missing. What exists is left as it is."""
    settings = reached()
    create_topics(settings.kafka, TOPICS, settings.replication_factor)
    typer.echo(f"{len(TOPICS)} topics are there")


@app.command("list")
def list_() -> None:
    """The topics with their partitions, cleanup policy and content."""
    for topic in TOPICS:
        typer.echo(f"{topic.name:16} {topic.partitions:3} {topic.cleanup:8} {topic.content}")
