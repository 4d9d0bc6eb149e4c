"""BentoML 1.1: POST /predict, a list of one row in, a list of one row out."""

import bentoml
from bench_models import MAX_BATCH_SIZE, load_model, rows_of
from bentoml.io import JSON

# Its batches wait as long as it has learned to be best; what it thinks would take longer than this is refused.
MAX_LATENCY_MS = 1000


class Model(bentoml.Runnable):
    SUPPORTED_RESOURCES = ("cpu",)
    SUPPORTS_CPU_MULTI_THREADING = True

    def __init__(self):
        self._model = load_model()

    @bentoml.Runnable.method(batchable=MAX_BATCH_SIZE > 1, batch_dim=0)
    def predict(self, rows):
        return self._model.run(rows)


runner = bentoml.Runner(Model, name="bench", max_batch_size=MAX_BATCH_SIZE, max_latency_ms=MAX_LATENCY_MS)
svc = bentoml.Service("bench", runners=[runner])


@svc.api(input=JSON(), output=JSON(), route="predict")
async def predict(rows):
    output = await runner.predict.async_run(rows_of(rows))
    return output.tolist()
