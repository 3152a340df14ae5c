# What the workflow runs on, in the versions of requirements.lock; the study itself is mounted (docs/cluster.md):
#   docker build -t falserefusal .
#   docker run --rm --gpus all -v "$PWD:/study" -v "$HOME/.cache/huggingface:/hub" falserefusal \
#       snakemake --cores 8 --configfile config/paper.yaml
FROM python:3.12-slim
# git: the record of a study's making names the commit of its code, in a checkout that another user owns
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /study
COPY requirements.lock /
RUN pip install --no-cache-dir --requirement /requirements.lock
ENV HF_HOME=/hub
WORKDIR /study
CMD ["snakemake", "--cores", "2"]
