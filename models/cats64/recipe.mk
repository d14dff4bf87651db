# How models/cats64.onnx was made: make reproduce MODEL=cats64 DATA=afhq-cat-256.zip
TRAIN_DATA := afhq-cat-256.zip (AFHQ v1 cat, training split: 5,153 photos)
LICENCE    := CC BY-NC 4.0 (AFHQ)
FACES      := cat
EMA        := 5

# The run was begun for 500 kimg and shortened at 200, so its schedules moved forward there.
define TRAIN
	$(BIN)/trainface "$(DATA)" --run "runs/cats64" --preset s64 --kimg 200 --set decay_kimg=500
	$(BIN)/trainface "$(DATA)" --run "runs/cats64" --preset s64 --kimg 360
endef
