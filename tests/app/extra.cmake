# The command-line tests run the real program.
target_compile_definitions(plsc_app_tests PRIVATE PLSC_TRAIN_PROGRAM="$<TARGET_FILE:plsc-train>"
                                                  PLSC_MPIRUN="${MPIEXEC_EXECUTABLE}")
add_dependencies(plsc_app_tests plsc-train)
set_tests_properties(app PROPERTIES LABELS "e2e" PROCESSORS 2)
