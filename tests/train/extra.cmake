# The real tensorboard package reads an event file; skipped (77) where it is not installed. The environment variable
# PLSC_PYTHON names the interpreter, else python3 is taken.
add_test(NAME train_event_file_tensorboard
         COMMAND sh -c "command -v \"\${PLSC_PYTHON:-python3}\" >/dev/null || { echo skipped: no python3; exit 77; }; \
exec \"\${PLSC_PYTHON:-python3}\" '${CMAKE_CURRENT_SOURCE_DIR}/train/check_events.py' '$<TARGET_FILE:plsc_train_tests>'")
set_tests_properties(train_event_file_tensorboard PROPERTIES LABELS python TIMEOUT 120 SKIP_RETURN_CODE 77)
