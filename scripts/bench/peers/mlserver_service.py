"""MLServer: POST /v2/models/bench/infer (Open Inference Protocol), one input and one output of FP32."""

from bench_models import load_model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Model(MLModel):
    async def load(self):
        self._model = load_model()
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("output", self._model.run(rows))
        return InferenceResponse(model_name=self.name, outputs=[output])
