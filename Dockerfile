# The program on a CPU: docker build -t face3d . (docs/guide/container.md)
FROM python:3.11-slim-bookworm

# Nothing else of Debian is needed: all dependencies are wheels.
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*

# Runs, checkpoints and results belong to a user without privileges, so that a mounted folder stays its owner's.
RUN useradd --create-home --uid 1000 face
WORKDIR /home/face/app
RUN chown face:face .
USER face

# Dependencies first: a change of the program does not install them again.
COPY --chown=face:face Makefile requirements.txt requirements-serve.txt ./
RUN make .venv/.serving

COPY --chown=face:face . .
# The copied requirements may be younger than the installation, which make would then repeat.
RUN touch .venv/.runtime .venv/.serving
ENTRYPOINT [".venv/bin/python", "main.py"]
CMD ["--mode", "doctor"]
