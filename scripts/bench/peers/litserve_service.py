"""LitServe: POST /predict, a list of one row in, a list of one row out."""

import argparse

import litserve
import numpy
from bench_models import BATCH_WAIT_S, MAX_BATCH_SIZE, load_model, rows_of


class Api(litserve.LitAPI):
    def setup(self, device):
        self._model = load_model()

    def decode_request(self, request):
        return rows_of(request)

    def batch(self, inputs):
        return numpy.concatenate(inputs)

    def predict(self, rows):
        return self._model.run(rows)

    def unbatch(self, output):
        return [output[i : i + 1] for i in range(len(output))]

    def encode_response(self, output):
        return output.tolist()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    # it refuses these two methods where there are no batches
    if MAX_BATCH_SIZE == 1:
        del Api.batch, Api.unbatch
    api = Api(max_batch_size=MAX_BATCH_SIZE, batch_timeout=BATCH_WAIT_S if MAX_BATCH_SIZE > 1 else 0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=parser.parse_args().port,
        num_api_servers=2,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
