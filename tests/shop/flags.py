"""Feature flags of every type. The summary of a shelf asks `value_of_active`."""

from datetime import date

from pydantic import BaseModel, Field

from service.features import Flag


class Banner(BaseModel):
    """The value of a flag with a model."""

    text: str = ""
    seconds: int = Field(default=5, ge=1)
    until: date | None = None


value_of_active = Flag(
    "value_of_active",
    default=False,
    description="The value of a shelf counts active articles only.",
    owner="shop",
    expires=None,
)
greeting = Flag("greeting", default="hello", description="How the shop greets.", owner="shop", expires=None)
page_size = Flag("page_size", default=20, description="Articles on a page.", owner="shop", expires=None)
discount = Flag("discount", default=0.5, description="Discount in percent.", owner="shop", expires=None)
banner = Flag("banner", default=Banner(), description="The banner.", owner="shop", expires=date(2999, 12, 31))

FLAGS = (value_of_active, greeting, page_size, discount, banner)
