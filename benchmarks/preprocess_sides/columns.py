"""What every side makes of flights, as preprocess.yaml has it. By name of a column the column of the data."""

Z_SCORES = {"distance_z": "distance", "temp_z": "temp", "dep_time_z": "sched_dep_time"}
QUANTILES = {"arr_time_q": "sched_arr_time", "pressure_q": "pressure"}
VOCABULARIES = ("carrier", "origin", "dest")
# tailnum is hashed; route is origin and dest crossed; the label late is whether arr_delay is above 15, -1 if missing.

NUMBERS = (*Z_SCORES.values(), *QUANTILES.values(), "arr_delay")
STRINGS = (*VOCABULARIES, "tailnum")
