# How models/faces64.onnx was made: make reproduce MODEL=faces64 DATA=lfw-aligned-150.zip
TRAIN_DATA := lfw-aligned-150.zip (Labeled Faces in the Wild, aligned crops of 150 px: 7,701 photos)
LICENCE    := research use only (Labeled Faces in the Wild)
FACES      := human
EMA        := 5

# The run was begun for 500 kimg, shortened at 200 and lengthened at 360 and at 500: its schedules moved each time.
define TRAIN
	$(BIN)/trainface "$(DATA)" --run "runs/faces64" --preset s64 --kimg 200 --set decay_kimg=500
	$(BIN)/trainface "$(DATA)" --run "runs/faces64" --preset s64 --kimg 360
	$(BIN)/trainface "$(DATA)" --run "runs/faces64" --preset s64 --kimg 500
	$(BIN)/trainface "$(DATA)" --run "runs/faces64" --preset s64 --kimg 800
endef
