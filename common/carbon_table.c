#include "common/carbon_table.h"

#include <strings.h>

/*
 * Ember, Yearly Electricity Data (ember-climate.org, release of 2024; CC BY 4.0), in whole grams:
 * emissions intensity of generation, which uses the IPCC's lifecycle factors (AR5 WG3, annex III)
 * and their kin. The last year that was complete for the country then. Trade between countries is
 * not in it. A country that is missing here has no figure that we would vouch for: --carbon takes
 * any number.
 */
static const struct carbon_country carbon_countries[] = {
    {"AE", "United Arab Emirates", 561, 2022},
    {"AR", "Argentina", 395, 2022},
    {"AT", "Austria", 111, 2023},
    {"AU", "Australia", 570, 2022},
    {"BE", "Belgium", 138, 2023},
    {"BG", "Bulgaria", 335, 2023},
    {"BR", "Brazil", 106, 2022},
    {"CA", "Canada", 161, 2022},
    {"CH", "Switzerland", 35, 2023},
    {"CL", "Chile", 354, 2022},
    {"CN", "China", 586, 2022},
    {"CO", "Colombia", 215, 2022},
    {"CY", "Cyprus", 534, 2023},
    {"CZ", "Czechia", 450, 2023},
    {"DE", "Germany", 381, 2023},
    {"DK", "Denmark", 152, 2023},
    {"EE", "Estonia", 417, 2023},
    {"EG", "Egypt", 570, 2022},
    {"ES", "Spain", 174, 2023},
    {"EU", "European Union", 244, 2023},
    {"FI", "Finland", 79, 2023},
    {"FR", "France", 56, 2023},
    {"GB", "United Kingdom", 238, 2023},
    {"GR", "Greece", 337, 2023},
    {"HR", "Croatia", 205, 2023},
    {"HU", "Hungary", 204, 2023},
    {"ID", "Indonesia", 676, 2022},
    {"IE", "Ireland", 291, 2023},
    {"IL", "Israel", 583, 2022},
    {"IN", "India", 705, 2022},
    {"IS", "Iceland", 28, 2022},
    {"IT", "Italy", 331, 2023},
    {"JP", "Japan", 513, 2022},
    {"KE", "Kenya", 83, 2022},
    {"KR", "South Korea", 442, 2022},
    {"KZ", "Kazakhstan", 830, 2022},
    {"LT", "Lithuania", 160, 2023},
    {"LU", "Luxembourg", 105, 2023},
    {"LV", "Latvia", 123, 2023},
    {"MA", "Morocco", 663, 2022},
    {"MT", "Malta", 459, 2023},
    {"MX", "Mexico", 475, 2022},
    {"MY", "Malaysia", 606, 2022},
    {"NL", "Netherlands", 268, 2023},
    {"NO", "Norway", 30, 2023},
    {"NZ", "New Zealand", 111, 2022},
    {"PL", "Poland", 662, 2023},
    {"PT", "Portugal", 166, 2023},
    {"RO", "Romania", 241, 2023},
    {"RS", "Serbia", 636, 2023},
    {"SE", "Sweden", 41, 2023},
    {"SG", "Singapore", 474, 2022},
    {"SI", "Slovenia", 231, 2023},
    {"SK", "Slovakia", 117, 2023},
    {"TH", "Thailand", 561, 2022},
    {"TR", "Turkiye", 465, 2023},
    {"TW", "Taiwan", 640, 2022},
    {"UA", "Ukraine", 260, 2022},
    {"US", "United States", 386, 2022},
    {"UY", "Uruguay", 113, 2022},
    {"VN", "Viet Nam", 410, 2022},
    {"WORLD", "the world", 486, 2022},
    {"ZA", "South Africa", 730, 2022},
};

#define CARBON_COUNTRY_COUNT (sizeof(carbon_countries) / sizeof(carbon_countries[0]))

const struct carbon_country *carbon_table_find(const char *code)
{
	for (size_t i = 0; i < CARBON_COUNTRY_COUNT; i++)
		if (strcasecmp(carbon_countries[i].code, code) == 0)
			return &carbon_countries[i];
	return NULL;
}

const struct carbon_country *carbon_table_get(size_t index)
{
	return index < CARBON_COUNTRY_COUNT ? &carbon_countries[index] : NULL;
}
