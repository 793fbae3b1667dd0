# Tests compile in half the time with little optimisation, and are short.
set(PLSC_TEST_FLAGS -O1 -g1)

# plsc_room_tests(NAME): builds tests/NAME/*_test.cpp into plsc_NAME_tests (one ctest entry per program) and
# tests/NAME/*_mpi_test.cpp into plsc_NAME_mpi_tests, run by mpirun with 1, 2 and 4 ranks. Other tests/NAME/*.cpp are
# helpers of both. Exit code 77 means skipped.
function(plsc_room_tests name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(helpers ${sources})
  set(mpi_sources ${sources})
  list(FILTER helpers EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER mpi_sources INCLUDE REGEX "_mpi_test\\.cpp$")
  list(FILTER sources INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_mpi_test\\.cpp$")
  if(sources)
    add_executable(plsc_${name}_tests ${sources} ${helpers} $<TARGET_OBJECTS:plsc_test_main>)
    target_link_libraries(plsc_${name}_tests PRIVATE plsc_test_support plsc_${name})
    target_compile_options(plsc_${name}_tests PRIVATE ${PLSC_TEST_FLAGS})
    add_test(NAME ${name} COMMAND plsc_${name}_tests)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77)
  endif()
  if(mpi_sources)
    add_executable(plsc_${name}_mpi_tests ${mpi_sources} ${helpers} $<TARGET_OBJECTS:plsc_mpi_test_main>)
    target_link_libraries(plsc_${name}_mpi_tests PRIVATE plsc_test_support plsc_${name})
    target_compile_options(plsc_${name}_mpi_tests PRIVATE ${PLSC_TEST_FLAGS})
    foreach(ranks 1 2 4)
      add_test(NAME ${name}_mpi_${ranks}
               COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe --allow-run-as-root ${MPIEXEC_NUMPROC_FLAG} ${ranks}
                       $<TARGET_FILE:plsc_${name}_mpi_tests>)
      set_tests_properties(${name}_mpi_${ranks} PROPERTIES LABELS mpi TIMEOUT 300 PROCESSORS ${ranks}
                           ENVIRONMENT "OMP_NUM_THREADS=1;OMPI_MCA_rmaps_base_oversubscribe=1")
    endforeach()
  endif()
  # Tests of another kind, such as Python scripts.
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/extra.cmake)
    include(${CMAKE_CURRENT_SOURCE_DIR}/${name}/extra.cmake)
  endif()
endfunction()
