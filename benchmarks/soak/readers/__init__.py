"""Every kind of file that the program reads, with a small whole one of each and the function that reads it."""

from benchmarks.soak.readers.face_models import FACE_MODELS
from benchmarks.soak.readers.networks import NETWORKS
from benchmarks.soak.readers.own import OWN
from benchmarks.soak.readers.photos import PHOTOS
from benchmarks.soak.readers.records import RECORDS

READERS = (*RECORDS, *OWN, *FACE_MODELS, *NETWORKS, *PHOTOS)
