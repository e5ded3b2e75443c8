/*
 * energy_source_internal.h: the sources, for the table in energy_source.c alone.
 */
#ifndef WATTPORT_COMMON_ENERGY_SOURCE_INTERNAL_H
#define WATTPORT_COMMON_ENERGY_SOURCE_INTERNAL_H

#include "common/energy_source.h"

extern const struct energy_source_ops energy_source_powercap;
extern const struct energy_source_ops energy_source_model;
extern const struct energy_source_ops energy_source_replay;

#endif
