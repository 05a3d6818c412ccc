"""Draw two tables of 8x8 pictures: three shapes, two of them with a hat, turned by an angle."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

draw = np.random.default_rng(0)
for name, first, rows in (("table", 0, 60), ("held-out", 60, 40)):
    index = np.arange(first, first + rows)
    pictures = []
    for i in index:
        pixels = draw.integers(0, 60, (8, 8), dtype=np.uint8)
        pixels[(1 + i % 3) : (3 + i % 3) * 2, 2:6] += 120  # the shape
        pixels[0] += 180 * np.uint8(i // 3 % 2)  # the hat
        sink = io.BytesIO()
        Image.fromarray(pixels).save(sink, "PNG")
        pictures.append(sink.getvalue())
    table = pa.table(
        {
            "image": pictures,
            "shape": [("disc", "ring", "star")[i % 3] for i in index],
            "hat": [bool(i // 3 % 2) for i in index],
            "bright": [None if i % 7 == 0 else bool(i % 5 > 2) for i in index],
            "angle": pa.array([1.5 * float(i % 20) for i in index], pa.float32()),
            "person": pa.array([int(i) // 4 for i in index], pa.int32()),
        }
    )
    pq.write_table(table, f"{name}.parquet", compression="zstd", row_group_size=25)
