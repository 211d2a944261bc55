"""`python -m tests.shop serve`: any command of `slipway`, with the shop in place of the team's domains."""

from service.cli import main
from tests.shop import SHOP
from tests.shop.door import install

install(SHOP)

if __name__ == "__main__":
    main()
